//! Two histories of one store, each with an audit of its own: how they become one in which every entry of both stands
//! once, under a number of its own.

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::serve::store::{Renumbered, StoreError};

/// The number of the first entry that tells another history, with the audit of one in `main` and of the other in
/// `backup`: what has this number differs, or is missing on one side, which had it and cannot have pruned it. Without
/// one the histories are the same, as far as `main` goes: then it is the number after its last one.
const FORK: &str = "
WITH last AS (
    SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'audit'), 0) AS ours,
        coalesce((SELECT seq FROM backup.sqlite_sequence WHERE name = 'audit'), 0) AS theirs
), pruned AS (
    SELECT coalesce((SELECT max(through) FROM main.audit WHERE pruned_before IS NOT NULL), 0) AS ours_through,
        coalesce((SELECT max(pruned_before) FROM main.audit WHERE through IS NOT NULL), 0) AS ours_before,
        coalesce((SELECT max(through) FROM backup.audit WHERE pruned_before IS NOT NULL), 0) AS theirs_through,
        coalesce((SELECT max(pruned_before) FROM backup.audit WHERE through IS NOT NULL), 0) AS theirs_before
)
SELECT min(id) FROM (
    SELECT ours + 1 AS id FROM last
    UNION ALL
    SELECT min(id) FROM (
        SELECT * FROM main.audit WHERE id IN (SELECT id FROM backup.audit) EXCEPT SELECT * FROM backup.audit
    )
    UNION ALL
    SELECT min(id) FROM backup.audit, last, pruned
    WHERE id <= ours AND id NOT IN (SELECT id FROM main.audit) AND (id > ours_through OR at >= ours_before)
    UNION ALL
    SELECT min(id) FROM main.audit, last, pruned
    WHERE id <= theirs AND id NOT IN (SELECT id FROM backup.audit) AND (id > theirs_through OR at >= theirs_before)
)";

/// Makes the audit in `main` that of both histories, of which the other one is attached as `backup`. Up to where they
/// part it stays as it is: what retention deleted does not come back. From there on come the entries of the backup, and
/// then those of `main`, in their order, with new numbers behind all that were ever given where theirs are taken. Returns
/// what has new numbers.
pub(super) async fn unite(writing: &mut SqliteConnection) -> Result<Vec<Renumbered>, StoreError> {
    let fork: i64 = sqlx::query_scalar(FORK).fetch_one(&mut *writing).await?;
    let guards: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'",
    )
    .fetch_all(&mut *writing)
    .await?;
    for (name, _) in &guards {
        run(writing, format!("DROP TRIGGER main.\"{name}\"")).await?;
    }
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM pragma_table_info('audit') WHERE name NOT IN ('id', 'through', 'pruned_before')",
    )
    .fetch_all(&mut *writing)
    .await?;
    let is_same: Vec<String> = columns.iter().map(|name| format!("m.\"{name}\" IS b.\"{name}\"")).collect();
    // The rows of a new table are numbered from 1 on, in this order. What an earlier restoring took over is there once.
    let ours = format!(
        "CREATE TEMP TABLE ours AS SELECT * FROM main.audit m WHERE id >= {fork} AND NOT EXISTS \
         (SELECT 1 FROM backup.audit b WHERE b.id >= {fork} AND {}) ORDER BY id",
        is_same.join(" AND ")
    );
    run(writing, ours).await?;
    let (is_taken, last): (bool, i64) = sqlx::query_as(
        "SELECT coalesce((SELECT min(id) FROM ours) <= (SELECT max(id) FROM backup.audit), 0), \
         max(coalesce((SELECT max(seq) FROM main.sqlite_sequence WHERE name = 'audit'), 0), \
         coalesce((SELECT max(seq) FROM backup.sqlite_sequence WHERE name = 'audit'), 0))",
    )
    .fetch_one(&mut *writing)
    .await?;
    let ids: Vec<i64> = if is_taken {
        sqlx::query_scalar("SELECT id FROM ours ORDER BY rowid").fetch_all(&mut *writing).await?
    } else {
        Vec::new()
    };
    if is_taken {
        // What an entry deleted had other numbers.
        let renumber = format!("UPDATE ours SET id = {last} + rowid, through = NULL, pruned_before = NULL");
        run(writing, renumber).await?;
    }
    for statement in [
        format!("DELETE FROM main.audit WHERE id >= {fork}"),
        format!("INSERT INTO main.audit SELECT * FROM backup.audit WHERE id >= {fork} ORDER BY id"),
        "INSERT INTO main.audit SELECT * FROM ours ORDER BY id".to_owned(),
        "DROP TABLE ours".to_owned(),
    ] {
        run(writing, statement).await?;
    }
    for (_, guard) in guards {
        run(writing, guard).await?;
    }
    Ok(ranges(&ids, last))
}

async fn run(writing: &mut SqliteConnection, statement: String) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(writing).await?;
    Ok(())
}

/// What `ids`, which grow, become when they are counted from `last` on, range by range.
fn ranges(ids: &[i64], last: i64) -> Vec<Renumbered> {
    let mut ranges: Vec<Renumbered> = Vec::new();
    for (is, was) in (last + 1..).zip(ids) {
        match ranges.last_mut() {
            Some(range) if range.were.1 + 1 == *was => (range.were.1, range.are.1) = (*was, is),
            _ => ranges.push(Renumbered { were: (*was, *was), are: (is, is) }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_one_range() {
        let range = |were, are| Renumbered { were, are };
        assert_eq!(ranges(&[], 9), []);
        assert_eq!(ranges(&[3, 4, 5, 9], 20), [range((3, 5), (21, 23)), range((9, 9), (24, 24))]);
    }
}
