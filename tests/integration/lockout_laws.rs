//! Laws on lockouts that hold for every policy and every state.

use std::collections::BTreeSet;

use proptest::{option, prelude::*, sample};
use tokenwarden::{
    access::Reason,
    apply::{TargetWriter, execute},
    inventory::{Caller, Credential},
    model::{AllowedNetworks, Token, UserName},
    plan::{Axis, Who},
    policy::settings_file::Lockout,
};

use crate::{
    laws::{NOW, USERS, policies, states},
    world::{State, World, approve, block_on, policy, time},
};

/// States in which we are one of the users, with one of the tokens or a password, from anywhere.
fn states_with_a_caller() -> impl Strategy<Value = State> {
    let sources = &[
        "peer",
        "{header: X-Forwarded-For, trusted_proxies: [10.0.0.5]}",
        "{header: X-Forwarded-For, trusted_proxies: [10.0.0.0/24]}",
    ];
    let source = option::of(sample::select(&sources[..]));
    let peer = sample::select(&["10.0.0.5", "10.1.2.3", "192.0.2.15", "203.0.113.7", "198.51.100.1"][..]);
    let line =
        option::of(sample::select(&["10.1.2.3", "192.0.2.15, 10.0.0.5", "198.51.100.1, 10.0.0.7"][..]));
    (states(), any::<sample::Index>(), any::<bool>(), source, peer, line).prop_map(
        |(mut state, index, password, source, peer, line)| {
            if let Some(source) = source {
                let from = policy(&format!("version: 1\nnetwork: {{client_address: {source}}}\n"));
                state.settings.client_address = from.client_address.get().unwrap().value.clone();
            }
            let own: Vec<&Token> =
                state.tokens.values().filter(|token| !password && token.owner.user().is_some()).collect();
            let own = (!own.is_empty()).then(|| (*index.get(&own)).clone());
            let user = own.as_ref().and_then(|token| token.owner.user()).cloned().unwrap_or("Root".into());
            state.caller = Caller {
                groups: state
                    .groups
                    .iter()
                    .filter(|(_, members)| members.contains(&user))
                    .map(|(group, _)| group.clone())
                    .collect(),
                administrator: true,
                credential: own.map_or(Credential::Password, |token| Credential::Token {
                    id: token.id,
                    scope: token.scope,
                    expires: token.expires,
                }),
                user: Some(user),
                address: None,
                peer: None,
            };
            state.connection = Some((peer.parse().unwrap(), line.map(str::to_owned).into_iter().collect()));
            state
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_shuts_us_out_is_known_and_every_other_one_leaves_us_in_all_the_way(
        text in policies(), state in states_with_a_caller(),
    ) {
        let (policy, now, world) = (policy(&text), time(NOW), World::new(state.clone()));
        let can = |method| state.lets_us_in(&state.settings, method, now);
        let (read, write) = (can("GET"), can("PUT"));
        if !read {
            return Ok(());
        }
        let plan = world.plan(&policy, now);
        if plan.shut_out.iter().any(|shut_out| shut_out.who == Who::Caller) {
            // Nothing is refused that would do no harm, but for what cannot be known.
            let unknown = plan.shut_out.iter().flat_map(|shut_out| &shut_out.losses).any(|loss| loss.axis == Axis::UnknownAddress);
            for planned in &plan.changes {
                block_on(world.make(&planned.change)).unwrap();
            }
            let after = world.state();
            let still = after.lets_us_in(&after.settings, if write { "PUT" } else { "GET" }, now);
            prop_assert!(unknown || !still, "{:#?}", plan.shut_out);
            return Ok(());
        }
        let (_, outcome) = world.apply(&policy, now);
        prop_assert!(outcome.is_whole(), "{outcome:#?}");
        let after = world.state();
        for settings in world.settings_seen.lock().unwrap().iter() {
            prop_assert!(after.lets_us_in(settings, "GET", now));
            prop_assert!(!write || after.lets_us_in(settings, "PUT", now));
        }
    }

    #[test]
    fn exactly_those_whom_the_changes_shut_out_are_said_to_be(text in policies(), state in states()) {
        let (policy, now, world) = (policy(&text), time(NOW), World::new(state.clone()));
        let least = 3;
        let lockout = Lockout { break_glass: USERS.map(UserName::from).into(), min_admins: least };
        let plan = world.plan_with(&policy, &lockout, now);
        for planned in &plan.changes {
            block_on(world.make(&planned.change)).unwrap();
        }
        let after = world.state();
        let judged = state.settings.client_address == after.settings.client_address;
        let was_in = |user: &UserName, method| state.lets_in(user, method, judged, now);
        let is_in = |user: &UserName, method| {
            // What the plan made to expire is as good as gone.
            let ended = |token: &Token| state.tokens[&token.id].expires != token.expires;
            let mut left = after.clone();
            left.tokens.retain(|_, token| !ended(token));
            left.lets_in(user, method, judged, now)
        };
        for user in &lockout.break_glass {
            let lost = ["GET", "PUT"].into_iter().any(|method| was_in(user, method) && !is_in(user, method));
            let who = Who::BreakGlass(user.clone());
            let said = plan.shut_out.iter().find(|shut_out| shut_out.who == who);
            prop_assert_eq!(said.is_some(), lost, "{} {:#?}", user, plan.shut_out);
            prop_assert!(said.is_none_or(|said| !said.losses.is_empty()));
        }
        let administrators = &state.groups[&"administrators".into()];
        let count = |in_now: &dyn Fn(&UserName) -> bool| administrators.iter().filter(|user| in_now(user)).count() as u64;
        // The process that runs the server is one more.
        let (before, left) = (count(&|user| was_in(user, "PUT")) + 1, count(&|user| is_in(user, "PUT")) + 1);
        let who = Who::Administrators { before, after: left, least };
        let said = plan.shut_out.iter().any(|shut_out| shut_out.who == who);
        prop_assert_eq!(said, left < before && left < least, "{:#?}", plan.shut_out);
    }
}

#[test]
fn the_generated_plans_shut_out_on_every_axis_and_often_not_at_all() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut ours, mut theirs, mut left_in) = (BTreeSet::new(), BTreeSet::new(), 0);
    let lockout = Lockout { break_glass: USERS.map(UserName::from).into(), min_admins: 1 };
    for _ in 0..400 {
        let policy = policy(&policies().new_tree(&mut runner).unwrap().current());
        let state = states_with_a_caller().new_tree(&mut runner).unwrap().current();
        if state.lets_us_in(&state.settings, "GET", time(NOW)) {
            let plan = World::new(state).plan_with(&policy, &lockout, time(NOW));
            let (own, others): (Vec<_>, Vec<_>) =
                plan.shut_out.into_iter().partition(|shut_out| shut_out.who == Who::Caller);
            left_in += usize::from(own.is_empty() && !plan.changes.is_empty());
            ours.extend(own.into_iter().flat_map(|shut_out| shut_out.losses).map(|loss| loss.axis));
            theirs.extend(others.into_iter().flat_map(|shut_out| shut_out.losses).map(|loss| loss.axis));
        }
    }
    let shared = [Reason::Network, Reason::PasswordDisabled, Reason::Use].map(Axis::Refused);
    // Our own token is never touched.
    let only_ours = [Axis::UnknownAddress];
    assert_eq!(ours, shared.into_iter().chain(only_ours).collect());
    let only_theirs = [Axis::Refused(Reason::Scope), Axis::Expired, Axis::Revoked];
    assert_eq!(theirs, shared.into_iter().chain(only_theirs).collect());
    assert!(left_in > 50, "{left_in} plans leave us in");
}

#[test]
fn nothing_closes_when_we_are_seen_from_elsewhere_or_as_somebody_else_meanwhile() {
    let policy = policy("version: 1\nnetwork: {allow: [192.0.2.0/24]}\n");
    let mut state =
        State { connection: Some(("192.0.2.9".parse().unwrap(), Vec::new())), ..State::default() };
    state.caller =
        Caller { user: Some("root".into()), credential: Credential::Password, ..Caller::operator() };
    let elsewhere =
        |state: &mut State| state.connection = Some(("198.51.100.1".parse().unwrap(), Vec::new()));
    let somebody_else = |state: &mut State| state.caller.user = Some("mary".into());
    let changes: [fn(&mut State); 2] = [elsewhere, somebody_else];
    for (change, word) in changes.into_iter().zip(["198.51.100.1 would be refused", "somebody else"]) {
        let world = World::new(state.clone());
        let plan = world.plan(&policy, time(NOW));
        assert_eq!(plan.shut_out, [], "it is all right when it is planned");
        let approved = approve(plan);
        world.change(change);
        let outcome = block_on(execute(&approved, &world, &world, &|_| {}));
        assert!(outcome.verification.as_deref().unwrap().contains(word), "{outcome:#?}");
        assert_eq!((outcome.done(), outcome.not_tried()), (0, 1));
        assert_eq!(world.state().settings.networks, AllowedNetworks::Anywhere);
    }
}
