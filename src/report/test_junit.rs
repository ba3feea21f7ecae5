//! The results of policy tests as JUnit XML, for the test view of a CI server: a suite for each file, a
//! test for each case. Coverage is left out: JUnit has no word for it.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::policy_tests::{CaseResult, TestRun};

use super::{escape::escape_whole, junit::tell_apart, test_text::difference};

/// The result of `run` as JUnit XML.
///
/// # Errors
///
/// When the XML cannot be written, which no content makes happen.
pub fn report(run: &TestRun) -> Result<String, SerializeError> {
    let mut report = Report::new("tokenwarden test");
    for results in run.results.chunk_by(|a, b| a.file == b.file) {
        let file = results.first().map_or(String::new(), |first| escape_whole(&first.file));
        let mut suite = TestSuite::new(file.as_str());
        suite.add_test_cases(results.iter().map(|result| case(&file, result)));
        report.add_test_suite(suite);
    }
    tell_apart(&mut report);
    report.to_string()
}

fn case(file: &str, result: &CaseResult) -> TestCase {
    let status = if result.passed() {
        TestCaseStatus::success()
    } else {
        let lines = difference(result).into_iter().map(|(sign, text)| format!("{sign} {text}"));
        let because = result.because.iter().map(|because| {
            let place = because.place.as_ref().map_or(String::new(), |place| format!(" ({place})"));
            escape_whole(&format!("{}{place}", because.text))
        });
        let head = ["- expected, + actual".to_owned()];
        let text: Vec<_> =
            head.into_iter().chain(lines).chain(["because".to_owned()]).chain(because).collect();
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status
            .set_message(format!("at {}", escape_whole(&result.place.to_string())))
            .set_description(text.join("\n"));
        status
    };
    let mut case = TestCase::new(escape_whole(&result.name), status);
    case.set_classname(file);
    case
}
