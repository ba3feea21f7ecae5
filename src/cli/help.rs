//! What the help of each command ends with: examples, exit codes and the environment.

use std::{ffi::OsString, sync::LazyLock};

/// The variables of what a command talks to.
macro_rules! variables {
    (nothing) => {
        ""
    };
    (servers) => {
        "the variables that the config file names for credentials; HTTPS_PROXY, HTTP_PROXY and NO_PROXY; "
    };
    (host) => {
        "the variables that hold the credentials of the host; HTTPS_PROXY, HTTP_PROXY and NO_PROXY; "
    };
    (passwords) => {
        "the variables that the directory file names for passwords; "
    };
    (gateway) => {
        "the variables that the gateway file names; "
    };
}

/// The end of the help of each command: what it talks to, its exit codes, examples.
macro_rules! ends {
    ($($name:ident $talks_to:ident $codes:literal $($example:literal)+;)+) => {
        $(pub(super) const $name: &str = concat!(
            "Examples:\n", $("  tokenwarden ", $example, "\n",)+
            "\nExit codes: 0 done, ", $codes, "64 wrong usage\n\n",
            "Environment: ", variables!($talks_to), "COLUMNS, NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM for the text",
        );)+
    };
}

ends! {
    INIT nothing "1 error, "
        "init" "init --target bitbucket --url https://bitbucket.example.com --ci github" "init --diff --ci github";
    VALIDATE nothing "1 error, 3 invalid, "
        "validate" "validate --format json";
    PLAN servers "1 error, 2 changes pending with --detailed-exitcode, 3 invalid, "
        "plan" "plan --out plan.json --report html=plan.html" "plan --target prod --summary" "plan --inventory snapshot.jsonl --now 2027-01-01T00:00:00Z";
    APPLY servers "1 error, 3 invalid, 4 refused, 5 applied in part, "
        "apply" "apply plan.json --auto-approve" "apply --target prod --allow revocations=41";
    SHOW nothing "1 error, 3 invalid, " "show plan.json" "show plan.json --format markdown";
    DRIFT servers "1 error, 2 drift, 3 invalid, " "drift" "drift --target prod --format json";
    COMPARE nothing "1 error, 3 invalid, " "compare --baseline main" "compare before.yaml after.yaml";
    REVIEW host "1 error, 3 invalid, "
        "review --plan plan.json --url https://bitbucket.example.com --project OPS --repo policies --pull-request 7";
    REVOKE servers "1 error or a token that is not there, 4 refused, 5 applied in part, "
        "revoke --target prod --token 4711 --reason 'in a public log'"
        "revoke --target prod --leaked leaks.json --reason 'in a public repository'"
        "revoke --owner sam --created-after 2d --reason 'laptop stolen' --auto-approve";
    SCAN_RULES nothing "1 error, " "scan-rules gitleaks" "scan-rules secretlint";
    INVENTORY servers "1 error, 3 invalid, " "inventory --target prod --out snapshot.jsonl";
    IMPORT servers "1 error, 3 invalid, " "import --target prod --suggest" "import --target prod --waive-existing 90d --only-waivers";
    EXPLAIN servers "1 error, 3 invalid, " "explain 4711 --target prod";
    TOKENS servers "1 error or not all were seen, 3 invalid, "
        "tokens --never-used" "tokens --owner mary --ends-before 30d" "tokens --rule lifetime --format csv" "tokens --inventory snapshot.jsonl";
    TEST nothing "1 error, 3 invalid or a test that fails, " "test" "test --coverage-min 100";
    JOURNAL servers "1 error, 3 invalid, " "journal show";
    JOURNAL_SHOW servers "1 error or no such run, 3 invalid, "
        "journal show" "journal show 20261126T210750Z-4b1b766b" "journal show --target prod --limit 100 --format jsonl";
    AUDIT servers "1 error, 3 invalid, " "audit --target prod --since 1d" "audit --store sqlite:gateway.db --token 4711 --format json";
    DOCTOR servers "1 something is wrong, 3 invalid, " "doctor" "doctor --target prod";
    SCHEMA nothing "1 error, " "schema policy" "schema --write schemas";
    SERVE gateway "1 error, " "serve --store sqlite:gateway.db";
    DIRECTORY passwords "1 error, 3 invalid, " "directory import users.yaml --store sqlite:gateway.db";
    SETTINGS nothing "1 error, 3 invalid, " "settings export --store sqlite:gateway.db";
    SETTINGS_EXPORT nothing "1 error, " "settings export --store sqlite:gateway.db";
    SETTINGS_IMPORT nothing "1 error, 3 invalid, "
        "settings import settings.json --store sqlite:gateway.db" "settings import --store sqlite:gateway.db";
    SETTINGS_RESET_CLOCK nothing "1 error, " "settings reset-clock --store sqlite:gateway.db";
    STORE nothing "1 error, " "store backup gateway.backup.db --store sqlite:gateway.db" "store check --store sqlite:gateway.db";
    STORE_BACKUP nothing "1 error, " "store backup gateway.backup.db --store sqlite:gateway.db";
    STORE_RESTORE nothing "1 error, " "store restore gateway.backup.db --store sqlite:gateway.db";
    STORE_CHECK nothing "1 error or damage, " "store check --store sqlite:gateway.backup.db";
    COMPLETIONS nothing "1 error, " "completions bash --names" "completions zsh";
    MAN nothing "1 error, " "man" "man --out man1";
}

/// The version, with the commit and its date where the build was told them by `TOKENWARDEN_COMMIT` and
/// `TOKENWARDEN_COMMIT_DATE`. Nothing else goes in, so that one source makes one program.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let built = [option_env!("TOKENWARDEN_COMMIT"), option_env!("TOKENWARDEN_COMMIT_DATE")];
        let built: Vec<_> = built.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let version = env!("CARGO_PKG_VERSION");
        if built.is_empty() { version.to_owned() } else { format!("{version} ({})", built.join(" ")) }
    });
    &VERSION
}

/// The line that tells the version, when `arguments` (the program's name first) ask for that and nothing else: then the
/// command line with all its commands need not be set up.
pub(super) fn version_alone(arguments: &[OsString]) -> Option<String> {
    match arguments {
        [_, flag] if flag == "--version" || flag == "-V" => Some(format!("tokenwarden {}\n", version())),
        _ => None,
    }
}
