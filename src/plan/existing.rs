//! Waivers under which a policy leaves every existing token alone until the end of a day. No more is waived
//! than necessary: a finding on one token for that token, a finding on an owner for the owner.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{Timestamp, civil::Date};

use crate::{
    compliance::{Compliance, Findings},
    inventory::{Inventory, InventoryReader, ReadError},
    model::{Owner, Rule, Token, TokenId},
    policy::{
        Layer, WaiverSubject,
        draft::{self, WaiverDraft},
        read_layers,
    },
    yaml::FILE_BYTES_AT_MOST,
};

/// Why the waivers are there.
const REASON: &str = "existing before the policy";
/// The longest description in a comment, in characters.
const DESCRIPTION: usize = 60;

/// There is no layer with waivers for what is there.
#[derive(Debug, thiserror::Error)]
pub enum NotWaived {
    /// A part of the target could not be read.
    #[error(transparent)]
    Unread(#[from] ReadError),
    /// The policy has a mistake.
    #[error("the policy has a mistake; `tokenwarden validate` shows it")]
    Invalid,
    /// The layer would be larger than a policy file may be.
    #[error(
        "too many tokens do not comply for one policy file to hold waivers for all of them; begin with \
         fewer rules"
    )]
    TooMany,
}

/// The text `own` of a layer behind `base`, with waivers for everything that the policy finds on the tokens
/// that `reader` shows at `now`. They hold through the day `until`, UTC.
///
/// Where single tokens would take more room than a policy file has, owners are waived instead.
///
/// # Errors
///
/// When the target cannot be read, the policy is invalid, or there are far too many findings.
pub async fn waive_existing(
    base: &[&Layer],
    own: &str,
    until: Date,
    now: Timestamp,
    reader: &impl InventoryReader,
) -> Result<String, NotWaived> {
    let mut waived = Waived::default();
    // A waiver changes who of an owner's tokens are too many, so that another one may be found next.
    loop {
        let text = format!("{own}{}", draft::waivers(&waived.drafts(), REASON, until));
        if text.len() > FILE_BYTES_AT_MOST {
            if waived.whole_owners {
                return Err(NotWaived::TooMany);
            }
            waived = Waived { whole_owners: true, ..Waived::default() };
            continue;
        }
        let layer = Layer::read(Arc::from("waivers"), text.as_bytes());
        let layers: Vec<&Layer> = base.iter().copied().chain([&layer]).collect();
        let policy = read_layers(&layers).policy.ok_or(NotWaived::Invalid)?;
        let inventory = Inventory::read(reader, &policy.groups(), now).await?;
        let mut compliance = Compliance::new(&policy, &inventory.people, now).over(reader);
        let mut observe = |token| {
            compliance.observe(&token);
        };
        reader.tokens(&mut observe).await?;
        if !waived.add(&compliance.finish()) {
            return Ok(text);
        }
    }
}

/// What is waived so far.
#[derive(Default)]
struct Waived {
    /// Whether everything is waived for owners.
    whole_owners: bool,
    owners: BTreeMap<Owner, BTreeSet<Rule>>,
    tokens: BTreeMap<TokenId, (BTreeSet<Rule>, String)>,
}

impl Waived {
    /// Adds what no waiver holds yet, and returns whether there was anything.
    fn add(&mut self, findings: &Findings) -> bool {
        let mut added = false;
        for found in &findings.tokens {
            for finding in found.findings.iter().filter(|finding| finding.waiver.is_none()) {
                added |= self.add_one(&found.token, &finding.rule);
            }
        }
        added
    }

    fn add_one(&mut self, token: &Token, rule: &Rule) -> bool {
        let by_owner = (self.whole_owners || rule.looks_at().is_of_owner()) && can_be_named(&token.owner);
        let rules = if by_owner {
            self.owners.entry(token.owner.folded()).or_default()
        } else {
            let about = || (BTreeSet::new(), about(token));
            &mut self.tokens.entry(token.id.clone()).or_insert_with(about).0
        };
        rules.insert(rule.clone())
    }

    fn drafts(&self) -> Vec<WaiverDraft> {
        let owners = self.owners.iter().map(|(owner, rules)| WaiverDraft {
            subject: WaiverSubject::Owner { owner: owner.clone(), description: None },
            rules: rules.clone(),
            about: None,
        });
        let tokens = self.tokens.iter().map(|(id, (rules, about))| WaiverDraft {
            subject: WaiverSubject::Token(id.clone()),
            rules: rules.clone(),
            about: Some(about.clone()),
        });
        owners.chain(tokens).collect()
    }
}

/// Whether a policy can name `owner`: a user may be called as if it were a project.
fn can_be_named(owner: &Owner) -> bool {
    owner.to_string().parse().as_ref() == Ok(owner)
}

fn about(token: &Token) -> String {
    let mut description: String = token.description.chars().take(DESCRIPTION).collect();
    if description.len() < token.description.len() {
        description.push('…');
    }
    format!("{description} of {}", token.owner)
}
