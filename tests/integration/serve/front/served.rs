//! The table of requests, and random ones, over HTTP through the forwarder: it does what is decided, and the server
//! behind never permits through it what it refuses by itself.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use proptest::{strategy::Strategy, strategy::ValueTree, test_runner::TestRunner};
use tokenwarden::serve::front::judge::Browsers;

use super::{
    behind::{Answered, Gateway, Sender, alone, is_pair, server},
    judge::any_row,
    table::{PASS, ROWS, Row},
};

/// The status that a refusal with this code has.
pub(super) fn status_of(code: &str) -> u16 {
    match code {
        "no-credentials" | "invalid-credentials" | "expired" | "restricted-expiry" => 401,
        "ambiguous" | "bad-request" | "limit" => 400,
        _ => 403,
    }
}

/// What is wrong with the answer to `row`, of which was `decided` this.
fn wrong(row: &Row, decided: &str, answered: &Answered) -> Option<String> {
    let is_right = if decided == PASS {
        let by_itself = alone(&row.sent.headers(), row.request.0, row.request.1);
        answered.passed && (answered.status >= 400 || by_itself < 400 || is_pair(row.sent))
    } else {
        !answered.passed && answered.status == status_of(decided)
    };
    (!is_right).then(|| format!("{decided}, but {answered:?}: {row:?}"))
}

/// Sends `rows` through gateways, and answers everything that is wrong.
async fn differences(rows: &[Row]) -> Vec<String> {
    let behind = server().await;
    let sender = Sender::new();
    let mut wrong_ones = Vec::new();
    for browsers in [Browsers::Pass, Browsers::Network] {
        let here = |row: &&Row| row.browsers_by_network == (browsers == Browsers::Network);
        let gateway = Gateway::before(behind, browsers).await;
        let settings: BTreeSet<&str> = rows.iter().filter(here).map(|row| row.settings).collect();
        for part in settings {
            gateway.set(part).await;
            let before = gateway.reasons(false).await;
            let of_these = rows.iter().filter(here).filter(|row| row.settings == part);
            let sent = of_these.map(|row| async {
                let decided = row.decided();
                (decided, wrong(row, decided, &sender.send(gateway.server.address(), row).await))
            });
            let answered: Vec<_> = stream::iter(sent).buffer_unordered(8).collect().await;
            let mut expected = before;
            for (decided, wrong) in answered {
                *expected.entry(if decided == PASS { "permit" } else { decided }.to_owned()).or_default() +=
                    1;
                wrong_ones.extend(wrong);
            }
            let counted: BTreeMap<String, u64> = gateway.reasons(false).await;
            if counted != expected {
                wrong_ones.push(format!("{part}: {counted:?} instead of {expected:?}"));
            }
        }
    }
    wrong_ones
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_requests_holds_through_the_forwarder() {
    let wrong = differences(ROWS).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As many as `TOKENWARDEN_REQUESTS` says.
#[tokio::test(flavor = "multi_thread")]
async fn random_requests_become_what_access_decides_and_never_more_than_the_server_behind_permits() {
    let count = std::env::var("TOKENWARDEN_REQUESTS").map_or(300, |text| text.parse().unwrap());
    let mut runner = TestRunner::default();
    let rows: Vec<Row> = (0..count).map(|_| any_row().new_tree(&mut runner).unwrap().current()).collect();
    let wrong = differences(&rows).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
