//! Laws on lockouts that hold for every policy and every state.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::ToSpan;

use proptest::{option, prelude::*, sample};
use tokenwarden::{
    access::{DenialReason, Relocation},
    apply::{TargetWriter, execute},
    inventory::{Caller, Credential},
    model::{
        AddressSet, AllowedNetworks, Holders, PasswordAuthentication, Scope, SettingKey, Token, TokenId,
        TokenScope, UserName,
        permission::Groups,
        rails::{Lockout, RailClass, Rails},
    },
    plan::{Axis, ShutOut, Who},
};

use crate::{
    plan::laws::{NOW, USERS, policies, states},
    support::world::{self, State, World, approve, block_on, policy, time},
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
                state.settings.set(from.wanted(SettingKey::ClientAddress).unwrap().value);
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
                behind: None,
            };
            state.connection = Some((peer.parse().unwrap(), line.map(str::to_owned).into_iter().collect()));
            state
        },
    )
}

proptest! {
    #![proptest_config(world::cases(512))]

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
        let break_glass = USERS.map(UserName::from).into();
        let lockout = Lockout { break_glass, min_admins: least, ..Lockout::default() };
        let plan = world.plan_with(&policy, &lockout, now);
        for planned in &plan.changes {
            block_on(world.make(&planned.change)).unwrap();
        }
        let after = world.state();
        let moments = [now, lockout.horizon.after(now)];
        let at = |state: &State, moment| if moment > now { state.without_marked_until(moment) } else { state.clone() };
        let was_in = |user: &UserName, method, moment| {
            at(&state, moment).lets_in(user, method, &|_| AddressSet::default(), moment)
        };
        let relocation = Relocation::between(&state.settings.client_address, &after.settings.client_address);
        let elsewhere = |from: Option<IpAddr>| {
            let before = state.settings.networks.addresses();
            relocation.elsewhere(&from.map_or(before, |from| [from.into()].into_iter().collect()))
        };
        let is_in = |user: &UserName, method, moment| {
            // What the plan made to expire is as good as gone.
            let ended = |token: &Token| state.tokens[&token.id].expires != token.expires;
            let mut left = at(&after, moment);
            left.tokens.retain(|_, token| !ended(token));
            left.lets_in(user, method, &elsewhere, moment)
        };
        for user in &lockout.break_glass {
            let loses = |moment| {
                let lost = |method| was_in(user, method, moment) && !is_in(user, method, moment);
                ["GET", "PUT"].into_iter().any(lost)
            };
            let lost = moments.into_iter().any(loses);
            let who = Who::BreakGlass(user.clone());
            let said = plan.shut_out.iter().find(|shut_out| shut_out.who == who);
            prop_assert_eq!(said.is_some(), lost, "{} {:#?}", user, plan.shut_out);
            prop_assert!(said.is_none_or(|said| !said.losses.is_empty()));
        }
        let administrators = &state.groups[&"administrators".into()];
        let count = |in_now: &dyn Fn(&UserName) -> bool| administrators.iter().filter(|user| in_now(user)).count() as u64;
        // The process that runs the server is one more.
        let counts = moments.map(|moment| {
            let before = count(&|user| was_in(user, "PUT", moment));
            (before + 1, count(&|user| is_in(user, "PUT", moment)) + 1)
        });
        let who = counts.into_iter().find(|(before, left)| left < before && *left < least);
        let who = who.map(|(before, after)| Who::Administrators { before, after, least });
        let said = plan.shut_out.iter().map(|shut_out| shut_out.who.clone());
        let said = said.into_iter().find(|who| matches!(who, Who::Administrators { .. }));
        prop_assert_eq!(said, who, "{:#?}", plan.shut_out);
    }
}

#[test]
fn the_generated_plans_shut_out_on_every_axis_and_often_not_at_all() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut ours, mut theirs, mut left_in) = (BTreeSet::new(), BTreeSet::new(), 0);
    let lockout = Lockout { break_glass: USERS.map(UserName::from).into(), ..Lockout::default() };
    for _ in 0..400 {
        let policy = policy(&policies().new_tree(&mut runner).unwrap().current());
        let state = states_with_a_caller().new_tree(&mut runner).unwrap().current();
        if state.lets_us_in(&state.settings, "GET", time(NOW)) {
            let plan = World::new(state).plan_with(&policy, &lockout, time(NOW));
            let (own, others): (Vec<_>, Vec<_>) =
                plan.shut_out.clone().into_iter().partition(|shut_out| shut_out.who == Who::Caller);
            left_in += usize::from(own.is_empty() && !plan.changes.is_empty());
            ours.extend(own.into_iter().flat_map(|shut_out| shut_out.losses).map(|loss| loss.axis));
            theirs.extend(others.into_iter().flat_map(|shut_out| shut_out.losses).map(|loss| loss.axis));
        }
    }
    let shared =
        [DenialReason::Network, DenialReason::PasswordDisabled, DenialReason::Use].map(Axis::Refused);
    // Our own token is never touched.
    let only_ours = [Axis::UnknownAddress];
    assert_eq!(ours, shared.into_iter().chain(only_ours).collect());
    let only_theirs = [
        Axis::Refused(DenialReason::ClientAddress),
        Axis::Refused(DenialReason::Scope),
        Axis::Expired,
        Axis::Revoked,
        Axis::Ending,
    ];
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

/// What happens between a plan and its application.
type Meanwhile = fn(&mut State);

fn alter(state: &mut State, change: fn(&mut Token)) {
    change(state.tokens.get_mut(&TokenId::new("1")).unwrap());
}

/// `toor`, who administers, and `mary`, each with a token alone.
fn with_toor() -> State {
    let mut state = State::default();
    state.settings.password_authentication = PasswordAuthentication::disabled();
    state.users = ["toor", "mary"].map(|user| (user.into(), true)).into();
    state.groups = BTreeMap::from([("administrators".into(), BTreeSet::from(["toor".into()]))]);
    let token = |id: &str, owner: &str| Token {
        scope: TokenScope::Set(Scope::ReadWrite),
        created: time(NOW),
        last_used: None,
        expires: None,
        ..world::token(id, owner)
    };
    state.tokens = [token("1", "toor"), token("2", "mary")].map(|token| (token.id.clone(), token)).into();
    state
}

#[test]
fn nothing_closes_when_somebody_who_must_keep_a_way_in_lost_it_meanwhile() {
    let policy = policy("version: 1\npermissions: {use: [administrators]}\n");
    let lockout = Lockout { break_glass: vec!["toor".into()], min_admins: 2, ..Lockout::default() };
    let state = with_toor();
    let meanwhile: [(Meanwhile, bool); 6] = [
        (|state| state.users = [("toor".into(), false)].into(), true),
        (|state| state.tokens.retain(|id, _| id.as_str() != "1"), true),
        (|state| alter(state, |token| token.expires = Some(time(NOW) + 24.hours())), true),
        (|state| alter(state, |token| token.scope = TokenScope::Set(Scope::ReadOnly)), true),
        (|state| state.groups.values_mut().for_each(BTreeSet::clear), true),
        // Somebody else is of no concern.
        (|state| state.tokens.retain(|id, _| id.as_str() == "1"), false),
    ];
    let rails = RailClass::ALL.map(|class| (class, u64::MAX)).into();
    for (index, (change, is_fatal)) in meanwhile.into_iter().enumerate() {
        let world = World::new(state.clone());
        let approved =
            world.plan_with(&policy, &lockout, time(NOW)).approve(&Rails::default(), &rails).unwrap();
        world.change(change);
        let outcome = block_on(execute(&approved, &world, &world, &|_| {}));
        let why = outcome.verification.as_deref().unwrap_or_default();
        assert_eq!(why.contains("`toor` of `break_glass`"), is_fatal, "{index}: {why}");
        assert_eq!(why.contains("gone"), is_fatal, "{index}: {why}");
        // What opens is done before, and what closes is not begun.
        assert_eq!(outcome.not_tried() > 0, is_fatal, "{index}: {outcome:#?}");
        let is_everyone = world.state().settings.permissions.use_tokens == Holders::Everyone;
        assert_eq!(is_everyone, is_fatal, "{index}");
    }
}

/// As [`with_toor`], where the server shows less than there is.
fn unseen(hide: Meanwhile) -> State {
    let mut state = with_toor();
    hide(&mut state);
    state
}

/// Of whom the plan for `yaml` says that they would be shut out, and whether it is for what was not seen.
fn shut_out(state: &State, lockout: &Lockout, yaml: &str) -> Vec<(Who, bool)> {
    let plan = World::new(state.clone()).plan_with(&policy(yaml), lockout, time(NOW));
    let is_unseen = |shut_out: &ShutOut| shut_out.losses.iter().any(|loss| loss.axis == Axis::Unseen);
    plan.shut_out.iter().map(|shut_out| (shut_out.who.clone(), is_unseen(shut_out))).collect()
}

const NO_PASSWORDS: &str = "version: 1\npassword_authentication: disabled\n";

#[test]
fn whoever_was_not_seen_loses_a_way_in_where_the_plan_closes_one_and_nowhere_else() {
    let lockout = Lockout { break_glass: vec!["toor".into()], min_admins: 0, ..Lockout::default() };
    let toor = || vec![(Who::BreakGlass("toor".into()), true)];
    let user = unseen(|state| {
        state.settings.password_authentication = PasswordAuthentication::Allowed;
        state.users = [("mary".into(), true)].into();
        state.tokens.retain(|id, _| id.as_str() != "1");
        state.lacks_users = true;
    });
    assert_eq!(shut_out(&user, &lockout, NO_PASSWORDS), toor());
    let open = "version: 1\npassword_authentication: {state: disabled, except_users: [toor]}\n";
    let unrelated = "version: 1\npermissions: {use: [administrators]}\n";
    for harmless in ["version: 1\n", open, unrelated] {
        assert_eq!(shut_out(&user, &lockout, harmless), [], "{harmless}");
    }
    // A directory that is whole does not know the user: nobody is shut out.
    assert_eq!(shut_out(&State { lacks_users: false, ..user }, &lockout, NO_PASSWORDS), []);
    let revoking = "version: 1\ntokens: {limits: [{max_scope: read-only}], enforcement: {scope: narrow}}\n";
    let holder = unseen(|state| {
        state.users = [("mary".into(), true)].into();
        state.lacks_users = true;
    });
    assert_eq!(shut_out(&holder, &lockout, revoking), toor());
    assert_eq!(shut_out(&holder, &lockout, "version: 1\n"), []);
}

#[test]
fn whoever_may_be_in_a_group_that_loses_the_use_of_tokens_is_shut_out() {
    let lockout = Lockout { break_glass: vec!["toor".into()], min_admins: 0, ..Lockout::default() };
    let state = unseen(|state| {
        let users = Groups::new(["users".into(), "others".into()]).unwrap();
        state.settings.permissions.use_tokens = Holders::Groups(users);
        state.groups.extend(["users", "others"].map(|group| (group.into(), BTreeSet::new())));
        state.partial_groups = ["users".into()].into();
    });
    let without = "version: 1\npermissions: {use: [others]}\n";
    assert_eq!(shut_out(&state, &lockout, without), [(Who::BreakGlass("toor".into()), true)]);
    assert_eq!(shut_out(&state, &lockout, "version: 1\npermissions: {use: [users]}\n"), []);
    assert_eq!(shut_out(&State { partial_groups: BTreeSet::new(), ..state }, &lockout, without), []);
}

#[test]
fn administrators_who_were_not_seen_are_not_left_by_a_plan_that_closes_a_way_in() {
    let state = unseen(|state| {
        state.settings.password_authentication = PasswordAuthentication::Allowed;
        state.partial_groups = ["administrators".into()].into();
    });
    let least = |min_admins| Lockout { min_admins, ..Lockout::default() };
    // The process that runs the server is one, `toor` with a token another one.
    let three = Who::Administrators { before: 3, after: 2, least: 3 };
    assert_eq!(shut_out(&state, &least(3), NO_PASSWORDS), [(three, true)]);
    assert_eq!(shut_out(&state, &least(2), NO_PASSWORDS), []);
    assert_eq!(shut_out(&state, &least(3), "version: 1\n"), []);
    assert_eq!(shut_out(&State { partial_groups: BTreeSet::new(), ..state }, &least(3), NO_PASSWORDS), []);
}

#[test]
fn nothing_closes_when_somebody_who_must_keep_a_way_in_is_not_seen_any_more() {
    let policy = policy("version: 1\npermissions: {use: [administrators]}\n");
    let lockout = Lockout { break_glass: vec!["toor".into()], min_admins: 2, ..Lockout::default() };
    let rails = RailClass::ALL.map(|class| (class, u64::MAX)).into();
    let meanwhile: [(Meanwhile, &str); 2] = [
        (
            |state| {
                state.users.clear();
                state.lacks_users = true;
            },
            "`toor` of `break_glass`",
        ),
        (
            |state| {
                state.groups.values_mut().for_each(BTreeSet::clear);
                state.partial_groups = ["administrators".into()].into();
            },
            "`min_admins` is 2",
        ),
    ];
    for (change, who) in meanwhile {
        let world = World::new(with_toor());
        let approved =
            world.plan_with(&policy, &lockout, time(NOW)).approve(&Rails::default(), &rails).unwrap();
        world.change(change);
        let outcome = block_on(execute(&approved, &world, &world, &|_| {}));
        let why = outcome.verification.as_deref().unwrap_or_default();
        assert!(why.contains(who) && why.contains("could be seen"), "{why}");
        assert_eq!(world.state().settings.permissions.use_tokens, Holders::Everyone);
    }
}
