//! An administrator's first hour with each kind of server: from an empty folder to a policy that CI keeps, by the
//! commands of the documentation and of the CI files, with no file edited twice.

use std::{cell::RefCell, collections::BTreeSet, fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use tokenwarden::serve::Clock;

use crate::{
    cli::ci_files::{Runner, Variables, by_hand, of_a_comment, of_drift},
    support::{
        Setup, TestServer,
        program::{Run, program},
        pull_request::PullRequests,
    },
    targets::{
        bitbucket::stub::{self as bitbucket, PASSWORD},
        resolution::stub as resolution,
    },
};

const KEY: &str = "a key for the marks of the first hour";

/// A kind of server, where one is, and what keeps its policy.
struct Hour {
    kind: &'static str,
    url: String,
    system: &'static str,
    /// Each secret as the config file names it: what plans, and what applies.
    secrets: Vec<(&'static str, String, String)>,
}

/// The files that were edited.
#[derive(Default)]
struct Edited(RefCell<BTreeSet<String>>);

impl Edited {
    /// Puts `text` in the place of `old` in the file `name`, which nobody has edited.
    fn edit(&self, folder: &Path, name: &str, old: &str, text: &str) {
        assert!(self.0.borrow_mut().insert(name.to_owned()), "{name} is edited twice");
        let before = fs::read_to_string(folder.join(name)).unwrap();
        assert!(before.contains(old), "{name} has {old}: {before}");
        fs::write(folder.join(name), before.replacen(old, text, 1)).unwrap();
    }
}

impl Hour {
    /// The secrets as the jobs of the CI system get them: those that plan, or those that apply.
    fn variables(&self, writes: bool) -> Variables {
        let secret = |(_, read, write): &(_, String, String)| if writes { write } else { read }.clone();
        let named = self.secrets.iter().map(|of| (of.0, secret(of)));
        let at_bamboo = self.secrets.iter().map(|of| {
            let name: &str = match of.0 {
                "TOKENWARDEN_TOKEN" => "bamboo_tokenwarden_token_secret",
                _ => "bamboo_tokenwarden_mark_key_secret",
            };
            (name, secret(of))
        });
        if self.system == "bamboo" { at_bamboo.collect() } else { named.collect() }
    }

    /// What a command says to the administrator, who has the secrets that plan; it must succeed.
    fn say(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = program();
        command.current_dir(folder).args(arguments);
        command.envs(self.secrets.iter().map(|(name, read, _)| (name, read)));
        let run = Run::of(&mut command);
        assert_eq!(run.code, Some(0), "{} {arguments:?}: {}{}", self.kind, run.stdout, run.stderr);
        run.stdout
    }

    /// The whole hour, with comments at `pull_requests`.
    fn pass(&self, pull_requests: &PullRequests) {
        let (kind, system) = (self.kind, self.system);
        let mut runner = Runner::new(system);
        (runner.read, runner.write) = (self.variables(false), self.variables(true));
        let edited = Edited::default();

        // A first look, and the first pull request.
        let begin = |folder: &Path| {
            self.say(folder, &["init", "--target", kind, "--url", &self.url, "--ci", system]);
            let examined = self.say(folder, &["doctor"]);
            assert!(examined.contains(" 0 failed"), "{kind}: {examined}");
            // Of a journal only those have to think whose server keeps no ledger.
            let thinks_of_journal = examined.contains("warning  journal");
            assert_eq!(thinks_of_journal, kind != "gateway", "{examined}");
            let described = self.say(folder, &["import", "--target", "prod", "--suggest"]);
            assert!(described.contains("# What limits would do to these"), "{kind}: {described}");
            fs::write(folder.join("policy/prod.yaml"), described).unwrap();
            edited.edit(
                folder,
                "tokenwarden.yaml",
                "[policy/base.yaml]",
                "[policy/prod.yaml, policy/base.yaml]",
            );
            self.say(folder, &["validate"]);
            self.say(folder, &["test"]);
            let planned = self.say(folder, &["plan"]);
            assert!(!planned.contains("token to "), "{kind}: only reports: {planned}");
        };
        runner.propose(begin, &[None]);
        runner.merge();
        runner.run(&by_hand(system, &runner.clone()), "", &self.variables(true));
        self.morning(&runner);

        // The second pull request acts on what was only reported so far.
        let act = |folder: &Path| {
            edited.edit(folder, "policy/base.yaml", "# owner-inactive: revoke", "owner-inactive: revoke");
        };
        runner.propose(act, &[None]);
        let mut commenting = vec![("BITBUCKET_TOKEN", "reads-and-comments".to_owned())];
        for (name, at_bamboo, value) in [
            ("BITBUCKET_URL", "bamboo_bitbucket_url", pull_requests.url()),
            ("BITBUCKET_PROJECT", "bamboo_bitbucket_project", "OPS".to_owned()),
            ("BITBUCKET_REPOSITORY", "bamboo_bitbucket_repository", "policies".to_owned()),
            ("PULL_REQUEST", "bamboo_repository_pr_key", "7".to_owned()),
            ("BITBUCKET_TOKEN", "bamboo_bitbucket_comment_password", "reads-and-comments".to_owned()),
        ] {
            commenting.extend([(name, value.clone()), (at_bamboo, value)]);
        }
        let steps = of_a_comment(system, &runner.clone());
        let comments = steps.len();
        runner.run(&steps, "", &commenting);
        let made = pull_requests.comments();
        assert_eq!(made.len(), comments, "{kind}: {made:?}");
        for comment in made {
            let text = comment["text"].as_str().unwrap();
            assert!(text.contains("1 token to revoke"), "{kind}: {text}");
        }
        let applied = runner.merge();
        assert!(applied.contains("1 token revoked") && applied.contains("Converged:"), "{kind}: {applied}");
        self.morning(&runner);
        let left = self.say(&runner.clone(), &["plan"]);
        assert!(left.starts_with("No changes."), "{kind}: {left}");
    }

    /// No drift.
    fn morning(&self, runner: &Runner) {
        let steps = of_drift(self.system, &runner.clone());
        assert_eq!(steps.len(), 1);
        runner.run(&steps, "", &self.variables(false));
    }
}

/// Passes `hour` beside the servers, which keep answering.
async fn pass(hour: Hour) {
    let pull_requests = PullRequests::start().await;
    tokio::task::spawn_blocking(move || hour.pass(&pull_requests)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_hour_with_bitbucket_is_green_throughout() {
    let stub = bitbucket::Stub::start().await;
    let made = |days: i64| (Timestamp::now() - SignedDuration::from_hours(24 * days)).to_string();
    stub.add(
        "users/mary_example.com",
        bitbucket::token("075905477751", "nightly", &made(10), &["REPO_READ"]),
    );
    stub.add("users/gone", bitbucket::token("000000000002", "laptop", &made(5), &["REPO_READ"]));
    let secrets = ["TOKENWARDEN_PASSWORD", "TOKENWARDEN_MARK_KEY"]
        .map(|name| (name, PASSWORD.to_owned(), PASSWORD.to_owned()));
    pass(Hour { kind: "bitbucket", url: stub.url(), system: "jenkins", secrets: secrets.into() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_hour_with_the_app_is_green_throughout() {
    let stub = resolution::Stub::filled().await;
    let secrets = vec![
        ("TOKENWARDEN_TOKEN", PASSWORD.to_owned(), PASSWORD.to_owned()),
        ("TOKENWARDEN_MARK_KEY", KEY.to_owned(), KEY.to_owned()),
    ];
    pass(Hour { kind: "resolution", url: stub.url(), system: "bamboo", secrets }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_hour_with_the_gateway_is_green_throughout() {
    let seed = "tokens:
  - { owner: mary, description: nightly, scope: read-only, created: 30d, expires: never, last_used: { ago: 2d, from: 10.1.4.20 } }
  - { owner: gone, description: mirror, scope: read-only, created: 30d, expires: in 60d, last_used: { ago: 20d, from: 10.1.3.3 } }\n";
    let setup = Setup { seed: Some(seed.to_owned()), clock: Clock::System, ..Setup::default() };
    let server = TestServer::start(setup).await;
    let (read, write) =
        (server.make_token("root", 1).await.secret, server.make_token("root", 2).await.secret);
    let secrets = vec![("TOKENWARDEN_TOKEN", read, write)];
    pass(Hour { kind: "gateway", url: server.url(""), system: "github", secrets }).await;
}
