//! The audit of a gateway, read page by page.

use serde::Deserialize;

use crate::{
    http::{HttpError, PagingFault},
    inventory::ReadError,
    model::audit::{AuditEntry, AuditFilter},
    protocol::{self, AUDIT},
};

use super::Gateway;

/// Entries on a page.
const PAGE: &str = "1000";

/// A page of entries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditPage {
    values: Vec<AuditEntry>,
    next_page_start: Option<i64>,
}

impl Gateway {
    /// The entries of the audit that `filter` selects, from the number `start` on, and where the next page begins;
    /// `None` behind the last one.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or its pages contradict each other.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        start: i64,
    ) -> Result<(Vec<AuditEntry>, Option<i64>), ReadError> {
        self.read_audit_page(filter, start).await.map_err(self.cannot_read("audit"))
    }

    async fn read_audit_page(
        &self,
        filter: &AuditFilter,
        start: i64,
    ) -> Result<(Vec<AuditEntry>, Option<i64>), HttpError> {
        let mut query = vec![("start", start.to_string()), ("limit", PAGE.to_owned())];
        query.extend(protocol::audit::query(filter));
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page: AuditPage = self.client.get(AUDIT, &query).await?.body;
        // Entries ascend from `start` on: others were asked for before.
        let last = page.values.last().map_or(start, |entry| entry.id);
        let is_in_order = page.values.is_sorted_by(|a, b| a.id < b.id)
            && page.values.first().is_none_or(|first| first.id >= start)
            && page.next_page_start.is_none_or(|next| next > last && !page.values.is_empty());
        if !is_in_order {
            return Err(self.client.paging(AUDIT, start.unsigned_abs(), PagingFault::Repeats));
        }
        Ok((page.values, page.next_page_start))
    }
}
