#!/usr/bin/env bash
# tokenwarden beside other programs that do such work, in the same run on the same machine: seconds, as medians of rounds
# in which each has its turn, and their ratios. It stops by itself. Needs nginx, curl, jq, Python and Rust; octoDNS and
# c7n-left come from PyPI into target/peers.
#
#   cargo build --release && benches/peers.sh [ROUNDS] [PART..]
#
# Parts: files (a plan from a snapshot beside octoDNS and c7n-left), pages (a plan over HTTP beside a client that reads
# the same pages), changes (an apply beside a client that revokes the same tokens one by one).
set -euo pipefail

rounds=${1:-5}
parts=${*:2}
parts=${parts:-files pages changes}
root=$(cd "$(dirname "$0")/.." && pwd)
program=${TOKENWARDEN:-$root/target/release/tokenwarden}
peers=$root/target/peers
here=$(mktemp -d)
pids=()
end() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null
    rm -rf "$here"
}
trap end EXIT
trap 'exit 1' INT TERM

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
# The seconds that a command takes go into the file $1; it may end with the code 1, as a plan beyond its rails does.
timed() {
    local into=$1 began code=0
    began=$EPOCHREALTIME
    "${@:2}" >"$here/out" 2>&1 || code=$?
    echo "$EPOCHREALTIME $began" | awk '{ printf "%.4f\n", $1 - $2 }' >>"$here/$into"
    [ $code -le 1 ] || { echo "$2 ended with $code" >&2; cat "$here/out" >&2; exit 1; }
}
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_it_answers() {
    local tries=0
    until curl -sf -o "$here/answer" "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { echo "$1 does not answer" >&2; exit 1; }
        sleep 0.1
    done
}

# Files: what is declared and what is there are files for all three, and nothing is changed.

python_peers() {
    test -d "$peers/venv" || python3 -m venv "$peers/venv"
    "$peers/venv/bin/pip" install --quiet --disable-pip-version-check 'octodns==1.22.0' 'c7n-left==0.3.39'
    mkdir -p "$peers/lib"
    # octoDNS takes YAML for a place that is only written.
    cat >"$peers/lib/live.py" <<-'PYTHON'
	from octodns.provider.yaml import YamlProvider


	class Live(YamlProvider):
	    def populate(self, zone, target=False, lenient=False):
	        super().populate(zone, target=False, lenient=lenient)
	        return True
	PYTHON
}

# Of COUNT objects PERCENT in a hundred are not as declared.
others() {
    python3 - "$here/$1-$2" "$1" "$2" <<-'PYTHON'
	import os, sys

	folder, count, percent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	is_off = lambda i: i % 100 < percent
	address = lambda i: f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}"
	for name in ["declared", "live", "terraform", "policies"]:
	    os.makedirs(f"{folder}/{name}")
	for name in ["declared", "live"]:
	    with open(f"{folder}/{name}/example.com.yaml", "w") as zone:
	        zone.write("---\n")
	        for i in range(count):
	            value = "192.0.2.1" if name == "live" and is_off(i) else address(i)
	            zone.write(f"r{i:06}: {{ttl: 300, type: A, value: {value}}}\n")
	with open(f"{folder}/octodns.yaml", "w") as config:
	    config.write(f"""providers:
	  declared: {{class: octodns.provider.yaml.YamlProvider, directory: {folder}/declared, enforce_order: false}}
	  live: {{class: live.Live, directory: {folder}/live, enforce_order: false}}
	zones:
	  example.com.: {{sources: [declared], targets: [live]}}
	""")
	with open(f"{folder}/terraform/main.tf", "w") as resources:
	    for i in range(count):
	        owner = "" if is_off(i) else "team"
	        resources.write(f'resource "aws_s3_bucket" "b{i}" {{\n  tags = {{ Owner = "{owner}" }}\n}}\n')
	with open(f"{folder}/policies/policy.yaml", "w") as policies:
	    policies.write("policies: [{name: owner, resource: terraform.aws_s3_bucket, filters: [{tags.Owner: ''}]}]\n")
	PYTHON
}

files() {
    python_peers
    rustc -O --edition 2024 -o "$here/instance" "$root/benches/instance.rs"
    for count in 10000 100000; do
        for percent in 0 1; do
            local name=$count-$percent
            others $count $percent
            "$here/instance" "$here/tokens-$name" $count $percent
            for _ in $(seq "$rounds"); do
                timed "ours.$name" "$program" -C "$here/tokens-$name" plan --inventory snapshot.jsonl
                timed "octodns.$name" env PYTHONPATH="$peers/lib" "$peers/venv/bin/octodns-sync" --quiet \
                    --config-file "$here/$name/octodns.yaml"
                # Its time grows faster than the objects: the smaller size is enough of it.
                test $count != 10000 || timed "c7n.$name" "$peers/venv/bin/c7n-left" run --output json \
                    --output-file "$here/findings" -p "$here/$name/policies" -d "$here/$name/terraform"
            done
            for of in ours octodns c7n; do
                test -f "$here/$of.$name" || continue
                median <"$here/$of.$name" | awk -v of="$of" -v n="$count" -v p="$percent" -v ours="$(median <"$here/ours.$name")" \
                    '{ printf "%6d objects, %d %% off: %-8s %8.3f s %9.0f objects/s  %6.1f x ours\n", n, p, of, $1, n / $1, $1 / ours }'
            done
        done
    done
}

# A server with tokens of which some have a description that the policy does not take. nginx before it tells which pages
# a plan reads.

tokens=20000
export PASSWORD=benchmark
# The server begins anew with its tokens, of which one in $1 does not comply.
server() {
    rm -rf "$here/server"
    mkdir "$here/server"
    cd "$here/server"
    python3 - $tokens "$1" <<-'PYTHON'
	import sys

	tokens, one_in = int(sys.argv[1]), int(sys.argv[2])
	names = [f"user{i:04}" for i in range(tokens // 20)]
	with open("directory.yaml", "w") as directory:
	    directory.write("users:\n  - {name: root, password_env: PASSWORD}\n")
	    directory.writelines(f"  - {{name: {name}}}\n" for name in names)
	    directory.write(f"groups: {{administrators: [root], developers: [{', '.join(names)}]}}\n")
	with open("tokens.yaml", "w") as seed:
	    seed.write("tokens:\n")
	    for i in range(tokens):
	        words = "unknown" if i % one_in == 0 else f"DEV-{i} build"
	        seed.write(f'  - {{owner: {names[i % len(names)]}, description: "{words}", scope: read-only, created: 9d, '
	                   "expires: in 90d, last_used: {ago: 1d, from: 10.1.2.3}}\n")
	PYTHON
    cat >policy.yaml <<-'YAML'
	version: 1
	tokens:
	  limits: [{description: "^[A-Z]+-[0-9]+ "}]
	  enforcement: {default: report, description: revoke}
	YAML
    local behind
    behind=$(free) proxy=$(free) address=http://127.0.0.1:$behind
    local way="kind: gateway, auth: {user: root, password_env: PASSWORD}, policy: [policy.yaml]"
    local rails="rails: {revocations: {amount: $tokens, percent: 100}}"
    cat >tokenwarden.yaml <<-YAML
	version: 1
	targets:
	  seed: {kind: embedded, store: store.db, directory: directory.yaml, seed: tokens.yaml, policy: [policy.yaml]}
	  direct: {url: "$address", $way, $rails}
	  logged: {url: "http://127.0.0.1:$proxy", $way}
	YAML
    cat >nginx.conf <<-NGINX
	daemon off; pid nginx.pid; error_log stderr crit;
	events {}
	http {
	    log_format pages '\$request_method \$request_uri'; access_log pages pages;
	    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
	    server { listen 127.0.0.1:$proxy; location / { proxy_pass $address; } }
	}
	NGINX
    "$program" plan --target seed >seeded 2>&1 || test $? -le 1
    "$program" serve --store sqlite:store.db --listen "127.0.0.1:$behind" >serve.log 2>&1 &
    serving=$!
    pids+=("$serving")
    until_it_answers "$address/readyz"
}
# curl, with one line of its configuration for each address on standard input.
ask() { curl --no-progress-meter -u root:$PASSWORD --config - "$@"; }

# A plan over HTTP beside curl, which reads the same pages on four connections and does nothing with them.
pages() {
    server 100
    nginx -p "$here/server" -c nginx.conf -e stderr 2>nginx.log &
    pids+=($!)
    until_it_answers "http://127.0.0.1:$proxy/readyz"
    : >pages
    "$program" plan --target logged >planned 2>&1 || test $? -le 1
    sed -n "s|^GET \(.*\)|url = \"$address\1\"\noutput = /dev/null|p" pages >urls
    for _ in $(seq "$rounds"); do
        timed ours.pages "$program" plan --target direct
        timed curl.pages ask --parallel --parallel-max 4 <urls
    done
    kill "$serving"
    median <"$here/ours.pages" | awk -v bare="$(median <"$here/curl.pages")" -v n=$tokens -v p="$(grep -c ^url urls)" \
        '{ printf "a plan over HTTP, %d tokens, %d pages: %.3f s, curl %.3f s: %.2f x\n", n, p, $1, bare, $1 / bare }'
}

# The revocations of an apply beside curl, which sends the same ones by one, on one connection.
changes() {
    for _ in $(seq "$rounds"); do
        server 20
        timed plan.changes "$program" plan --target direct
        timed apply.changes "$program" apply --target direct --auto-approve
        kill "$serving"
        server 20
        ask "$address/rest/tokenwarden/1/whoami" -o whoami </dev/null
        "$program" inventory --target direct --out snapshot.jsonl
        jq -r 'select(.record == "token" and .description == "unknown") | .id' snapshot.jsonl |
            sed "s|.*|url = \"$address/rest/de.resolution.apitokenauth/latest/user/token/&\"\noutput = /dev/null|" >urls
        timed curl.changes ask --fail --request DELETE <urls
        kill "$serving"
    done
    for of in plan apply curl; do eval "of_$of=$(median <"$here/$of.changes")"; done
    echo "$of_plan $of_apply $of_curl $((tokens / 20))" | awk '{
        printf "a revocation of %d: %.3f ms, curl %.3f ms: %.2f x\n", $4, 1000 * ($2 - $1) / $4, 1000 * $3 / $4, ($2 - $1) / $3 }'
}

for part in $parts; do "$part"; done
