#!/bin/sh
# The gateway and our own server beside nginx: requests a second and the 99th percentile of how long they take, on the same
# machine, before the same upstream and in the same run. Each round takes them all in turn; what is printed are medians
# and their ratios. It stops by itself. Needs nginx, wrk, curl, jq and Python, as Debian has them.
#
# What is measured is the program as it is published.
#
#   cargo build --profile dist && benches/gateway.sh [SECONDS] [ROUNDS] [CONNECTIONS..]
set -eu

seconds=${1:-5} rounds=${2:-5}
[ $# -gt 2 ] && shift 2 && connections=$* || connections='16 64'
root=$(cd "$(dirname "$0")/.." && pwd)
program=${TOKENWARDEN:-$root/target/dist/tokenwarden}
here=$(mktemp -d)
pids=
end() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null
    rm -rf "$here"
}
trap end EXIT
trap 'exit 1' INT TERM
cd "$here"

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_it_answers() {
    tries=0
    until curl -sf -o answer "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || { echo "$1 does not answer" >&2; exit 1; }
        sleep 0.1
    done
}
behind=$(free) upstream=$(free) gateway=$(free) plain=$(free) static=$(free) asks_static=$(free) asks_static_anew=$(free) asks_gateway=$(free)
export PASSWORD=benchmark

# The server behind: users and one token over its REST, and one answer that nginx gives for it.
cat >directory.yaml <<-'YAML'
	users: [{name: root, password_env: PASSWORD}, {name: mary, password_env: PASSWORD}]
	groups: {administrators: [root], developers: [mary]}
	YAML
"$program" serve --store sqlite:behind.db --create --directory directory.yaml --listen "127.0.0.1:$behind" \
    >behind.log 2>&1 &
pids="$pids $!"
until_it_answers "http://127.0.0.1:$behind/readyz"
id=$(curl -sf -u mary:$PASSWORD -X PUT -H 'Content-Type: application/json' \
    -d '{"name": "bench", "permissions": ["REPO_READ"]}' \
    "http://127.0.0.1:$behind/rest/access-tokens/latest/users/mary" | jq -r .id)
secret=$(python3 -c 'import base64, sys
print("BBDC-" + base64.b64encode(sys.argv[1].encode().rjust(12, b"0") + b":" + bytes(range(20))).decode())' "$id")

ask='auth_request /ask; proxy_pass http://upstream;'
# What is in front, and another process with what is behind: the upstream, and the static 204.
head='daemon off; worker_processes auto; error_log stderr crit; events { worker_connections 1024; }'
http='access_log off; keepalive_requests 1000000; proxy_http_version 1.1; proxy_set_header Connection "";
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;'
cat >behind.conf <<-NGINX
	$head pid behind.pid;
	http {
	    $http
	    upstream behind { server 127.0.0.1:$behind; keepalive 8; }
	    server {
	        listen 127.0.0.1:$upstream;
	        location / { proxy_pass http://behind; proxy_set_header Host \$host; proxy_set_header X-Forwarded-For \$remote_addr; }
	        location = /rest/bench { add_header X-AUSERNAME mary; default_type application/json; return 200 '{"size":0,"values":[]}'; }
	    }
	    server { listen 127.0.0.1:$static; location / { return 204; } }
	}
	NGINX
cat >front.conf <<-NGINX
	$head pid front.pid;
	http {
	    $http
	    proxy_set_header Host \$host; proxy_set_header X-Forwarded-For \$remote_addr;
	    upstream upstream { server 127.0.0.1:$upstream; keepalive 64; keepalive_requests 1000000; }
	    upstream static { server 127.0.0.1:$static; keepalive 64; keepalive_requests 1000000; }
	    upstream gateway { server 127.0.0.1:$gateway; keepalive 64; keepalive_requests 1000000; }
	    server { listen 127.0.0.1:$plain; location / { proxy_pass http://upstream; } }
	    server {
	        listen 127.0.0.1:$asks_static;
	        location / { $ask }
	        # Headers that are set here come in place of those above: without these two each question would be a connection.
	        location = /ask {
	            internal; proxy_pass http://static; proxy_pass_request_body off;
	            proxy_set_header Connection ""; proxy_set_header Content-Length "";
	        }
	    }
	    server {
	        listen 127.0.0.1:$asks_static_anew;
	        location / { $ask }
	        # As the documentation of nginx has it.
	        location = /ask {
	            internal; proxy_pass http://static; proxy_pass_request_body off;
	            proxy_set_header Content-Length ""; proxy_set_header X-Original-URI \$request_uri;
	        }
	    }
	    server {
	        listen 127.0.0.1:$asks_gateway;
	        location / { $ask }
	        location = /ask {
	            internal; proxy_pass http://gateway/authz/nginx; proxy_pass_request_body off;
	            proxy_set_header Connection ""; proxy_set_header Content-Length "";
	            proxy_set_header X-Original-Method \$request_method; proxy_set_header X-Original-URI \$request_uri;
	            proxy_set_header X-Forwarded-For \$remote_addr;
	        }
	    }
	}
	NGINX
for which in behind front; do
    nginx -p "$here" -c $which.conf -e stderr 2>$which.nginx.log &
    pids="$pids $!"
done
until_it_answers "http://127.0.0.1:$upstream/rest/bench"

cat >gateway.yaml <<-YAML
	version: 1
	listen: 127.0.0.1:$gateway
	store: sqlite:gateway.db
	upstream: {url: "http://127.0.0.1:$upstream", auth: {user: root, password_env: PASSWORD}}
	authz: {peers: [127.0.0.1]}
	YAML
"$program" serve --config gateway.yaml --create --directory directory.yaml >gateway.log 2>&1 &
gateway_pid=$!
pids="$pids $gateway_pid"
until_it_answers "http://127.0.0.1:$gateway/readyz"
# A policy of 1,000 networks that lets developers use tokens.
settings="http://127.0.0.1:$gateway/rest/tokenwarden/1/settings"
curl -sf -D head -u root:$PASSWORD "$settings" >settings.json
tag=$(tr -d '\r' <head | sed -n 's/^[Ee][Tt][Aa][Gg]: //p')
jq '.network.allow = ["127.0.0.0/8"] + [range(999) | "10.\(. / 250 | floor).\(. % 250).0/24"]
    | .permissions.use = ["developers"]' settings.json >wanted.json
curl -sf -u root:$PASSWORD -X PUT -H "If-Match: $tag" -H 'Content-Type: application/json' -d @wanted.json "$settings" \
    -o replaced

# A token of our own server, which judges what is sent with it and answers by itself.
own=$(curl -sf -u mary:$PASSWORD -H 'Content-Type: application/json' -d '{"tokenDescription": "bench", "tokenScope": 1}' \
    "http://127.0.0.1:$behind/rest/de.resolution.apitokenauth/latest/user/token" | jq -r .plainTextToken)
server=$behind

measure() {
    case $1 in
    server) path=/rest/tokenwarden/1/whoami credential=$own ;;
    *) path=/rest/bench credential=$secret ;;
    esac
    eval "port=\$$1"
    wrk -t2 -c"$2" -d"${seconds}s" --latency -H "Authorization: Bearer $credential" "http://127.0.0.1:$port$path" >measured
    ! grep -q 'Non-2xx' measured || { echo "not all requests to $1 passed" >&2; cat measured >&2; exit 1; }
    awk '/^Requests\/sec:/ { rate = $2 }
         /^ *99%/ { late = $2; ms = late + 0; if (late ~ /us$/) ms /= 1000; else if (late !~ /ms$/) ms *= 1000 }
         END { print rate, ms }' measured
}
ways='plain asks_static asks_static_anew gateway asks_gateway server'
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

for of in $connections; do
    round=0
    while [ $round -lt "$rounds" ]; do
        for way in $ways; do
            measure "$way" "$of" >>"$way.$of"
        done
        round=$((round + 1))
    done
    for way in $ways; do
        eval "rate_$way=\$(cut -d' ' -f1 $way.$of | median) late_$way=\$(cut -d' ' -f2 $way.$of | median)"
    done
    echo "$of connections           requests a second   p99, ms"
    for way in $ways; do
        eval "printf '%-24s %18.0f %9.2f\n' $way \$rate_$way \$late_$way"
    done
    awk -v g="$rate_gateway" -v a="$rate_asks_static" -v p="$rate_plain" -v q="$rate_asks_gateway" \
        -v s="$rate_server" -v n="$rate_asks_static_anew" -v ln="$late_asks_static_anew" \
        -v lg="$late_gateway" -v la="$late_asks_static" -v ls="$late_server" 'BEGIN {
        printf "forwarder / auth_request to a static 204   %.2f, p99 %.2f\n", g / a, lg / la
        printf "the same, where nginx connects anew for each question   %.2f, p99 %.2f\n", g / n, lg / ln
        printf "forwarder / proxy_pass                     %.2f\n", g / p
        printf "auth_request to the gateway / to a static 204   %.2f\n", q / a
        printf "our own server / auth_request to a static 204   %.2f, p99 %.2f\n\n", s / a, ls / la }'
done
