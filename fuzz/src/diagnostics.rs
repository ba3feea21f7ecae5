//! What holds for the diagnostics of any file.

use std::sync::Arc;

use tokenwarden::{
    report,
    yaml::{Diagnostics, Sources, Span},
};

/// Every mistake has a place in the file, all can be shown, and an error says what is wrong in one line.
/// Returns the texts that people and programs are shown.
pub fn hold(file: &Arc<str>, diagnostics: &Diagnostics, sources: &Sources) -> String {
    let text = sources.get(file).map(|text| &**text);
    for diagnostic in diagnostics.iter() {
        has_place(file, text, &diagnostic.span);
        diagnostic.related.iter().for_each(|related| has_place(file, text, &related.span));
        assert!(!diagnostic.message.is_empty());
    }
    let shown = report::diagnostics::text(diagnostics, sources, false);
    assert_eq!(shown.is_empty(), diagnostics.iter().next().is_none());
    assert!(!shown.contains('\u{1b}'), "what a file says controls the terminal: {shown:?}");
    let document = report::diagnostics::document(diagnostics, 1);
    shown + &serde_json::to_string(&document).expect("diagnostics are JSON")
}

fn has_place(file: &Arc<str>, text: Option<&str>, span: &Span) {
    assert_eq!(span.place.file, *file);
    assert!(span.place.line >= 1 && span.place.column >= 1, "{span:?}");
    assert!(span.start <= span.end, "{span:?}");
    if let Some(text) = text {
        assert!(text.get(span.start..span.end).is_some(), "{span:?} in {} bytes", text.len());
        assert!(span.place.line as usize <= text.split(['\n', '\r']).count(), "{span:?}");
    }
}
