//! A chart of named numbers as SVG inside HTML, with a title for screen readers and the table behind it.

use maud::{Markup, html};

use crate::report::escape::thousands;

/// Named numbers and what they are.
pub(super) struct Figures {
    /// An identifier of its own in the document.
    pub(super) id: String,
    /// What the chart shows, in one sentence.
    pub(super) title: String,
    /// What the names are.
    pub(super) of: &'static str,
    /// The names, each with its number.
    pub(super) rows: Vec<(String, u64)>,
}

const WIDTH: u64 = 520;
const ROW: u64 = 28;
const LABELS: u64 = 185;
/// Room for the number behind the longest bar.
const NUMBER: u64 = 55;
const HEIGHT: u64 = 200;
/// How much of a name is beside a bar, in characters; the table has it whole.
const NAME: usize = 24;
/// How many bars a chart has at most.
const BARS: usize = 15;

impl Figures {
    fn largest(&self) -> u64 {
        self.rows.iter().map(|(_, number)| *number).max().unwrap_or(0).max(1)
    }

    /// A chart with a bar for each of the first names, one below the other.
    pub(super) fn bars(&self) -> Markup {
        let rows = self.rows.len().min(BARS) as u64;
        let largest = self.largest();
        self.chart(
            rows * ROW,
            &html! {
                @for ((name, number), row) in self.rows.iter().take(BARS).zip(0..) {
                    @let middle = row * ROW + ROW / 2;
                    g {
                        title { (name) ": " (thousands((*number).into())) }
                        text.label x=(LABELS - 10) y=(middle + 4) text-anchor="end" { (shortened(name)) }
                        @let width = scaled(*number, largest, WIDTH - LABELS - NUMBER);
                        rect x=(LABELS) y=(middle - 8) width=(width) height="16" rx="3" {}
                        text x=(LABELS + width + 8) y=(middle + 4) { (thousands((*number).into())) }
                    }
                }
                line x1=(LABELS) x2=(LABELS) y1="0" y2=(rows * ROW) {}
            },
        )
    }

    /// A chart with a column for each name, side by side.
    pub(super) fn columns(&self) -> Markup {
        let largest = self.largest();
        let step = WIDTH / (self.rows.len() as u64).max(1);
        self.chart(HEIGHT + 24, &html! {
            line x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
            @for ((name, number), column) in self.rows.iter().zip(0..) {
                @let middle = column * step + step / 2;
                g {
                    title { (name) ": " (thousands((*number).into())) }
                    @let height = scaled(*number, largest, HEIGHT - 24);
                    rect x=(middle.saturating_sub(step / 3)) y=(HEIGHT - height) width=(step * 2 / 3) height=(height) rx="3" {}
                    @if *number > 0 {
                        text x=(middle) y=(HEIGHT - height - 6) text-anchor="middle" { (thousands((*number).into())) }
                    }
                    // There is room for every other name, and the last must be there.
                    @if (self.rows.len() as u64 - column) % 2 == 1 {
                        text.label x=(middle) y=(HEIGHT + 18) text-anchor="middle" { (name) }
                    }
                }
            }
        })
    }

    fn chart(&self, height: u64, content: &Markup) -> Markup {
        html! {
            div.figure {
                svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-labelledby=(self.id) {
                    title id=(self.id) { (self.title) }
                    (content)
                }
            }
        }
    }

    /// The table behind the chart, folded.
    pub(super) fn table(&self, rows_at_most: usize) -> Markup {
        html! {
            details {
                summary { "The figures" }
                table {
                    thead { tr { th scope="col" { (self.of) } th.number scope="col" { "tokens" } } }
                    tbody {
                        @for (name, number) in self.rows.iter().take(rows_at_most) {
                            tr { td { (name) } td.number { (thousands((*number).into())) } }
                        }
                    }
                }
                (super::more(self.rows.len(), rows_at_most))
            }
        }
    }
}

/// The length of a bar; what is not nothing is seen.
fn scaled(number: u64, largest: u64, length: u64) -> u64 {
    let scaled = u128::from(number) * u128::from(length) / u128::from(largest);
    u64::try_from(scaled).unwrap_or(length).max(if number > 0 { 2 } else { 0 })
}

fn shortened(name: &str) -> String {
    let mut characters = name.chars();
    let mut short: String = characters.by_ref().take(NAME).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}
