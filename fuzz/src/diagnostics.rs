//! What holds for the diagnostics of any file.

use std::sync::Arc;

use tokenwarden::{
    report,
    yaml::{Diagnostics, Mark, Sources},
};

/// Every mistake has a place in the file, all can be shown, and an error says what is wrong in one line.
/// Returns the texts that people and programs are shown.
pub fn hold(file: &Arc<str>, diagnostics: &Diagnostics, sources: &Sources) -> String {
    let text = sources.get(file).map(|text| &**text);
    for diagnostic in diagnostics.iter() {
        has_place(file, text, &diagnostic.mark);
        diagnostic.related.iter().for_each(|related| has_place(file, text, &related.mark));
        assert!(!diagnostic.message.is_empty());
    }
    let shown = report::diagnostics::text(diagnostics, sources, false);
    assert_eq!(shown.is_empty(), diagnostics.iter().next().is_none());
    assert!(!shown.contains('\u{1b}'), "what a file says controls the terminal: {shown:?}");
    let document = report::diagnostics::document(diagnostics, 1);
    shown + &serde_json::to_string(&document).expect("diagnostics are JSON")
}

fn has_place(file: &Arc<str>, text: Option<&str>, mark: &Mark) {
    assert_eq!(mark.place.file, *file);
    assert!(mark.place.line >= 1 && mark.place.column >= 1, "{mark:?}");
    assert!(mark.start <= mark.end, "{mark:?}");
    if let Some(text) = text {
        assert!(text.get(mark.start..mark.end).is_some(), "{mark:?} in {} bytes", text.len());
        assert!(mark.place.line as usize <= text.split(['\n', '\r']).count(), "{mark:?}");
    }
}
