//! Attacks, by who tries them: each file in `attacks/` is somebody with a place to stand, each entry one thing that they
//! send, and the whole of what has to come of it. Each entry is a test with an Entrada of its own, and runs by its name:
//!
//! ```sh
//! cargo test --test it attacks::network_attacker
//! ```
//!
//! `entry` is what can be written of one, `stage` what it finds. A new one is an entry and its name in the list below.
//! What is a race, or needs code, is in `races.rs`, `attack.rs`, `cookies.rs` and `properties.rs`.

mod entry;
mod forged;
mod stage;
mod trial;
mod verdict;
mod wire;

use crate::attacks::entry::Attack;
use crate::attacks::entry::read;

/// Makes a test of each attack, in a module of its file's name.
macro_rules! attacks {
    ($($file:ident { $($attack:ident),+ $(,)? })+) => {
        $(mod $file {
            const TOML: &str = include_str!(concat!("attacks/", stringify!($file), ".toml"));

            $(#[tokio::test]
            async fn $attack() {
                let attack = super::named(stringify!($file), TOML, stringify!($attack));
                super::trial::run(&attack).await;
            })+

            #[test]
            fn every_entry_is_a_test() {
                let names: Vec<String> =
                    super::read(stringify!($file), TOML).into_iter().map(|attack| attack.name).collect();
                assert_eq!(names, [$(stringify!($attack)),+], "{}.toml", stringify!($file));
            }
        })+
    };
}

fn named(file: &str, toml: &str, name: &str) -> Attack {
    let attack = read(file, toml).into_iter().find(|attack| attack.name == name);
    attack.unwrap_or_else(|| panic!("{file}.toml has no entry {name}"))
}

attacks! {
    malicious_client {
        a_redirect_uri_that_others_read_otherwise,
        a_redirect_uri_that_is_run_or_opened,
        an_answer_planted_in_the_redirect_uri,
        links_that_lead_people_astray,
        script_for_a_name,
        a_body_without_end,
        an_id_too_long_to_carry,
        more_ways_back_than_anybody_needs,
        a_name_with_something_unseen_in_it,
        registrations_without_end,
        another_page_of_a_known_host,
        another_clients_secret_by_registering_the_same,
        a_way_back_that_was_not_registered,
        two_ways_back,
        a_registration_that_was_made_up,
        a_registration_that_was_changed,
        a_document_at_a_host_that_nobody_trusts,
        a_document_inside_the_network,
        an_address_that_others_read_otherwise,
        the_id_of_a_document_without_its_key,
        our_own_id_at_the_provider,
        a_token_in_the_front_channel,
        an_answer_by_fragment_or_form,
        no_challenge,
        a_challenge_that_proves_nothing,
        silent_consent,
        a_resource_that_is_not_here,
        two_resources_in_one_token,
        scopes_of_another_server,
        a_request_that_is_fetched,
        a_message_for_the_provider,
        a_state_too_long_to_keep,
        a_line_break_in_the_state,
        a_grant_type_that_is_not_served,
        no_verifier,
        another_way_back_at_the_token_endpoint,
        another_resource_for_the_code,
        another_resource_for_the_refresh_token,
        a_wider_scope_at_the_refresh,
        a_parameter_twice,
        two_clients_at_once,
        a_secret_for_a_client_that_has_none,
        a_secret_in_the_address,
        an_assertion_in_place_of_the_secret,
        a_credential_of_another_kind_as_a_bearer_token,
        a_credential_of_another_kind_as_a_code,
        a_credential_of_another_kind_as_a_refresh_token,
        a_token_that_nobody_signed,
        a_token_of_20_kb,
        a_token_for_one_server_at_the_other,
        a_token_in_the_address,
        two_tokens,
        above_the_servers_path,
        a_path_that_begins_like_the_servers,
        a_method_that_echoes_or_tunnels,
        another_name_in_a_header,
        our_token_named_as_a_hop,
        what_is_left_of_a_client_that_was_blocked,
        what_is_left_where_the_host_was_blocked,
        the_same_client_after_a_block,
    }
    malicious_mcp_server {
        a_cookie_of_ours,
        a_policy_for_the_origin,
        a_session_that_browsers_keep_for_the_origin,
        a_page_that_looks_like_ours,
        readers_of_other_origins,
        another_authorization_server,
        a_challenge_beside_an_answer,
        a_redirect_from_our_origin,
        an_answer_for_everybody,
        cookies_that_browsers_send_along,
        the_callers_token_here,
        the_callers_session_ended,
        the_callers_token_exchanged,
    }
    network_attacker {
        a_code_without_its_verifier,
        a_code_that_was_changed,
        an_old_code,
        a_captured_redemption,
        a_captured_redemption_at_once,
        a_captured_redemption_at_another_replica,
        a_spent_code_as_a_logout_button,
        a_refresh_token_that_was_replaced,
        a_refresh_token_that_was_replaced_at_another_replica,
        a_refresh_token_within_the_grace,
        the_refresh_token_before_its_owner,
        a_refresh_token_that_was_forgotten,
        a_refresh_token_that_was_changed,
        a_refresh_token_whose_owner_signed_out,
        an_access_token_after_its_hour,
        an_access_token_after_the_sign_out,
        an_expired_access_token_as_a_logout_button,
        a_callback_in_another_browser,
        a_callback_that_is_done,
        a_captured_callback_that_is_done,
        a_captured_decision,
        a_login_that_was_left_open,
        what_an_address_gives_away,
        an_address_in_somebodys_cache,
        a_token_of_another_deployment,
        an_address_for_each_request,
        an_address_before_the_proxys,
    }
    same_tenant_colleague {
        the_victims_code_with_ones_own_client,
        the_victims_code_with_a_confidential_client,
        the_code_of_a_client_with_a_secret,
        the_code_of_a_client_with_a_secret_as_a_public_one,
        ones_own_code_in_the_victims_client,
        the_victims_refresh_token_with_ones_own_client,
        the_victims_old_refresh_token_as_a_logout_button,
        the_victims_session_ended_by_another_client,
        the_victims_session_ended_by_what_is_no_token,
        the_session_of_a_client_with_a_secret_ended_without,
        the_victims_name_in_ones_own_token,
        the_victims_oid_beside_ones_own_token,
        an_mcp_session_of_the_victims,
        the_victims_callback_in_ones_own_browser,
        the_victims_approved_login_in_ones_own_browser,
        the_victims_state_for_ones_own_login,
        ones_own_sign_in_injected_into_the_victims_login,
        an_error_into_the_victims_login,
        the_victims_form_in_ones_own_browser,
        the_victims_form_in_ones_own_browser_twice,
        a_form_for_a_cookie_and_a_cookie_for_a_form,
        a_look_behind_the_counter,
    }
    web_attacker {
        a_forged_decision,
        a_forged_decision_from_a_browser_that_says_only_its_origin,
        the_attackers_form_in_the_victims_browser,
        a_decision_by_a_link,
        a_decision_in_a_picture,
        a_client_of_the_attackers_for_a_victim_who_is_signed_in,
        a_consent_that_was_given_before,
        a_refusal_undone_by_going_back,
        a_refusal_after_approving,
        a_frame_over_the_buttons,
        the_attackers_callback_in_the_victims_browser,
        a_planted_login,
        a_planted_name_of_the_browser,
        a_cookie_that_hides_ours,
        cookies_that_we_did_not_make,
        a_state_of_the_attackers_making,
        an_answer_in_two_readings,
        script_in_the_providers_words,
        script_in_a_request,
        an_open_redirect_by_an_error,
        an_open_redirect_by_registration,
        an_open_redirect_by_a_vendors_customer,
        a_way_back_in_the_form,
        a_way_back_in_the_callback,
        mix_up,
        reading_a_page_with_cookies,
        reading_an_answer_with_credentials,
        a_form_for_an_endpoint_of_clients,
        another_host_in_the_metadata,
        another_host_in_the_challenge,
        another_path_in_a_header,
    }
    operator_mistake {
        open_trust_and_a_name_of_somebody_elses,
        open_trust_and_no_redirect_before_anybody_acted,
        open_trust_and_what_was_not_registered,
        open_trust_and_what_is_run,
        a_trusted_host_and_those_that_look_like_it,
        a_part_of_a_host_and_its_other_tenants,
        registration_that_was_switched_off,
        the_hash_from_the_configuration,
        the_session_of_one_client_with_the_secret_of_another,
        a_grace_of_nothing,
        an_mcp_server_that_does_not_know_our_keys,
    }
}
