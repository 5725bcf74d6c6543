"""What people complain of in the tools they have, and what goes wrong with kernel settings: each with its tests.

Below an entry stand its tests, `file::name`, relative to this folder or, with a slash, to tests/. What this tool does
not do is named with the reason. test_table.py checks that every test named here exists.

c1   ansible.posix#90: the module has no diff mode, a dry run says only that something would change
     test_complaints_writing.py::test_a_dry_run_shows_each_setting_before_and_after_and_the_file
     plugins/test_host_module.py::test_check_mode_shows_before_and_after_and_changes_nothing
c2   tuned#65: compare with a profile that is not active
     test_complaints.py::test_a_profile_that_nobody_uses_can_be_compared_with_a_host
     test_complaints.py::test_the_difference_of_two_profiles_needs_no_host
c3   tuned#346, #350, #351, #880: verify fails and does not say where
     test_complaints.py::test_every_setting_that_moved_is_named_with_both_values
c4   tuned#409: files are replayed in an order of its own, and values flip
     test_complaints.py::test_of_a_line_in_etc_and_one_in_sysctl_conf_the_winner_under_each_loader_is_computed
     test_complaints_writing.py::test_nothing_that_runs_on_a_host_reloads_all_files
c5   cluster-node-tuning-operator#699, tuned#416: a daemon that ends takes everything back
     test_complaints_writing.py::test_nothing_is_taken_back_but_by_command
c6   tuned#882: a rollback writes what the kernel refuses
     test_complaints_writing.py::test_a_value_that_the_kernel_refuses_to_take_back_is_named
     not in this tool yet: pairs of keys that zero each other (vm.dirty_*) are not in the catalogue
c7   saptune#53: one changed value needs a revert of all
     test_complaints_writing.py::test_an_apply_writes_only_what_changes_and_never_passes_through_a_default
c8   community.sap_install#694: verify fails for settings that the machine does not have
     test_complaints.py::test_a_setting_the_machine_does_not_have_is_no_drift
c9   kernel_settings#147: a daemon is needed
     test_complaints.py::test_our_own_file_is_in_the_sysctl_folder_and_needs_no_daemon
c10  kernel_settings#7: absent does not bring the old value back
     test_complaints_writing.py::test_taking_back_restores_the_value_that_was_there_and_not_a_default
     test_complaints_writing.py::test_a_line_that_no_file_should_hold_needs_a_person_and_is_named
c11  ansible#33974, ansible.posix#691: the whole file is rewritten and other settings change
     test_complaints.py::test_a_file_of_somebody_else_is_never_in_a_plan
     unit/planning/test_plan.py::test_the_file_that_is_ours_keeps_what_this_profile_does_not_speak_of
c12  ansible#36992: one unknown key makes another fail
     test_complaints_writing.py::test_a_key_that_is_not_there_is_named_and_no_other_is_blamed
c13  moby#47966, nixpkgs#118656: a global reload switches forwarding off
     test_complaints_writing.py::test_nothing_that_runs_on_a_host_reloads_all_files
     test_complaints_writing.py::test_forwarding_that_a_file_would_switch_off_at_boot_is_a_finding
     unit/planning/checks/test_checks.py::test_a_reload_names_every_key_and_line_outside_the_profile_too_and_who_does_it
c14  ansible#55695: sysctl ends well and has refused the value
     test_complaints_writing.py::test_a_value_that_the_kernel_takes_and_does_not_keep_is_a_failure_that_names_what_it_shows
     test_complaints_writing.py::test_a_refused_write_is_known_by_its_number_and_not_by_a_text
c15  debops#29, ansible-collection-hardening#240: a role dies in a container, or skips all of it
     test_containers.py::test_a_key_that_is_shown_and_cannot_be_written_is_left_out_and_the_others_are_planned
     test_containers.py::test_a_container_in_which_everything_is_read_only_is_neither_fine_nor_an_error
c16  salt#54937, ansible.posix#680: changed on every run
     test_complaints_writing.py::test_the_same_apply_again_changes_nothing
     test_complaints_writing.py::test_a_list_of_ports_written_in_another_way_is_no_change_for_ever
c17  ansible#29636: set only if larger
     test_complaints.py::test_what_is_higher_already_is_never_lowered
     test_complaints.py::test_of_several_at_least_the_highest_counts
c18  systemd#43362, salt#38433: connection tracking loads later than its settings
     test_containers.py::test_without_its_module_a_setting_is_not_applicable_and_the_module_is_named
     test_complaints.py::test_a_value_that_is_lost_at_boot_because_its_module_comes_later_is_seen_by_verify
     test_complaints.py::test_a_value_that_a_late_module_loses_is_no_met_rule_though_it_is_right_now
     test_complaints.py::test_that_a_module_has_to_come_first_is_explained
     test_complaints.py::test_a_plan_brings_the_module_up_before_its_settings_are_read
c19  kubernetes#142035, kops#2223: kube-proxy overrides what the admin set
     test_complaints.py::test_who_else_writes_a_setting_is_explained
     test_complaints.py::test_who_else_writes_settings_is_looked_for_on_each_host
c20  systemd#20919, #12791: people expect etc to beat usr-lib; names of files grow nines
     test_complaints.py::test_explain_says_who_wins_the_war_of_names
     test_precedence.py::test_the_model_says_what_a_boot_leaves_and_names_the_line
c21  systemd#17156: the two loaders differ on patterns and exclusions
     test_complaints.py::test_the_loaders_differ_on_patterns_that_exclude_and_both_are_modelled
c22  ComplianceAsCode#10203, #9376: a vendor file that is overridden fails the scan
     test_complaints.py::test_a_vendor_file_that_is_overridden_is_no_finding
     unit/probes/test_state_golden.py::test_what_a_host_said_of_its_state_is_understood
c23  ansible-collection-hardening#360: hardening turns timestamps off, reuse needs them
     test_complaints.py::test_that_reuse_needs_timestamps_is_explained
     test_complaints.py::test_what_cannot_be_had_together_is_refused_and_both_owners_are_named
     not in this tool yet: the variables of other roles are not read, so a clash with them is not found
c24  amazon-eks-ami#1307, bottlerocket#4786: a wide port range takes ports of services
     test_complaints.py::test_the_harm_of_a_wide_port_range_is_said_beside_the_change
     unit/planning/checks/test_checks.py::test_the_range_that_is_wanted_counts_and_not_the_one_that_is
     unit/planning/checks/test_checks.py::test_the_reservation_that_is_proposed_keeps_what_is_there_and_adds_no_more_than_is_needed
     unit/planning/test_danger.py::test_a_range_over_the_port_of_ssh_is_named
c25  talos#7878, systemd#39256: VLAN names with dots
     test_complaints.py::test_a_vlan_with_a_dot_in_its_name_is_one_key_on_both_sides
     test_complaints.py::test_a_vlan_is_read_at_boot_in_either_spelling_and_explained

d1   tuned#202: wildcards for interfaces
     test_complaints.py::test_a_pattern_for_interfaces_reaches_each_of_them
     not in this tool yet: a profile names single keys, no patterns
d2   bpftune#36, #93: buffers beyond 31 bits
     test_complaints.py::test_the_largest_number_that_a_setting_holds_is_known
d3   bpftune#188: tcp_rmem above rmem_max
     test_order.py::test_a_buffer_larger_than_rmem_max_is_legal_and_is_not_corrected
d4   h2o#183: somaxconn had 16 bits
     test_complaints.py::test_a_queue_beyond_16_bits_is_refused_since_old_kernels_cut_it
d5   nicotine-plus#1471: a raised somaxconn does nothing where the application asks for less
     test_effect.py::test_explain_says_when_a_change_takes_effect
d6   UBUNTU20-CIS#127: rollback is not realistic
     test_complaints_writing.py::test_taking_back_restores_the_value_that_was_there_and_not_a_default
     test_complaints_writing.py::test_the_record_of_what_was_there_survives_a_reboot
d7   linux-system-roles/network#33, nixos-cli#119: take back unless somebody confirms
     acceptance/test_revert_timer.py::test_a_host_that_is_cut_off_after_apply_is_as_before_within_the_window_and_5_seconds
     acceptance/test_revert_timer.py::test_a_run_that_is_confirmed_in_time_stays
     acceptance/test_main_way.py::test_what_nobody_confirmed_is_lost_at_the_next_boot
d8   netplan#548: the way back did not work, and no test had run it
     acceptance/test_main_way.py::test_what_is_planned_is_applied_kept_over_a_reboot_and_taken_back
d9   kernel-hardening-checker#210: permission denied is shown as not found
     test_complaints.py::test_absent_unreadable_and_empty_are_three_things
d10  awx#14903: a diff without contents is useless in a review
     test_complaints.py::test_a_plan_can_be_pasted_into_a_review_with_both_values
d11  ansible#32255, #82834: thresholds of failures surprise in batches
     not in this tool yet: hosts are not changed in waves
d12  terraform#23542: a saved plan without changes cannot be told
     test_complaints.py::test_pending_changes_have_an_exit_code_of_their_own_and_a_plan_without_any_says_so
d13  systemd#9902: services state what they need, conflicts are found
     test_complaints.py::test_at_least_and_at_most_make_a_range
     test_complaints.py::test_exactly_below_the_least_is_a_clash
d14  pyinfra: a value of 0 is taken for none
     test_complaints.py::test_a_value_of_zero_is_a_value
d15  ansible: a host that did not answer is not counted
     test_complaints.py::test_a_host_that_cannot_be_read_is_a_row_and_not_fine
d16  bpftune, saptune: what a third party changed since is overwritten
     test_complaints_writing.py::test_a_value_that_somebody_else_set_since_is_left_and_named
d17  kernel_settings: YAML makes a truth of yes
     test_complaints_writing.py::test_a_value_that_yaml_would_take_for_a_truth_is_refused_by_the_host_too

v1   the kernel takes nonsense: min above max, negative times, octal numbers, too few and too many numbers
     test_values.py::test_the_model_knows_what_the_kernel_stores
     test_values.py::test_this_kernel_stores_the_same
     test_values.py::test_what_nobody_means_is_refused_in_a_profile_by_a_named_rule
     test_values.py::test_a_profile_that_asks_for_nonsense_is_refused
     test_values.py::test_the_host_refuses_to_write_what_the_kernel_would_misread
v2   a refused write has stored a part
     plugins/test_host_real_kernel.py::test_a_refused_write_to_a_vector_stores_a_part_and_all_of_it_is_taken_back
v3   an empty write is a success that changes nothing
     test_values.py::test_an_empty_value_never_reaches_the_kernel_where_it_would_be_a_success_that_changes_nothing
v4   an unknown algorithm looks like a missing key, one that is not allowed like a lack of rights
     test_values.py::test_an_unknown_algorithm_looks_like_a_missing_key_and_the_model_tells_them_apart
     test_values.py::test_an_algorithm_that_a_container_may_not_use_is_refused_with_the_reason
     plugins/test_host_real_kernel.py::test_an_unknown_congestion_control_is_taken_back_with_a_hint

o1   the range of local ports and the first unprivileged port go in an order that depends on the direction
     test_order.py::test_the_model_knows_which_of_the_two_has_to_go_first
     test_order.py::test_this_kernel_wants_the_same_order
     test_order.py::test_the_order_is_data_for_both_directions
     test_order.py::test_explain_tells_the_order_and_the_reason
     test_order.py::test_a_line_that_the_other_setting_makes_the_kernel_refuse_does_not_count_at_boot
     unit/planning/test_order.py::test_the_start_of_the_free_ports_never_passes_the_low_end_of_the_range
     unit/planning/test_order.py::test_between_two_states_the_kernel_allows_no_write_is_refused_there_or_back
     acceptance/test_write_order.py::test_coupled_settings_go_there_back_and_through_a_boot
o2   the way back wants the reverse
     test_order.py::test_the_host_writes_in_the_order_of_the_plan_and_takes_back_in_reverse
     test_order.py::test_the_preview_of_the_way_back_is_the_plan_in_reverse
     plugins/test_host_real_kernel.py::test_coupled_settings_are_written_in_the_given_order_and_restored_backwards
     plugins/test_host_apply.py::test_a_refused_write_takes_back_all_in_reverse_order
o3   one setting moves another
     test_order.py::test_what_a_change_of_forwarding_resets_is_known_before_it_is_planned
     test_order.py::test_a_restore_that_moves_another_setting_is_repaired
     plugins/test_host_side_effects.py::test_what_a_setting_took_along_comes_back_with_it
     plugins/test_host_real_kernel.py::test_a_setting_that_changes_others_is_taken_back_with_them
o4   settings that work only together: reuse and timestamps, bbr and fq, tracking and its buckets
     test_order.py::test_what_works_only_together_is_explained
o5   tcp_tw_recycle is gone
     test_containers.py::test_a_removed_setting_is_said_to_be_removed_by_kernels_that_removed_it
o6   both ends of the port range have one parity
     test_order.py::test_an_explicit_range_of_one_parity_is_met_where_it_is_there
     unit/planning/checks/test_checks.py::test_a_check_says_what_its_case_expects

e1   somaxconn reaches a listener with its next listen()
     test_effect.py::test_explain_says_when_a_change_takes_effect
     test_effect.py::test_a_listener_keeps_its_backlog_until_it_listens_again
e2   keepalive_time reaches existing sockets
     test_effect.py::test_a_socket_without_a_keepalive_of_its_own_follows_the_setting
e3   buffers and congestion control reach new sockets
     test_effect.py::test_a_socket_keeps_its_buffer_and_a_new_one_gets_the_new
e4   a plan says what a change reaches
     test_effect.py::test_a_plan_says_what_each_change_reaches
     test_effect.py::test_a_plan_for_machines_carries_the_effect_with_its_reason
e5   a running process keeps its limit of open files
     test_effect.py::test_explain_says_when_a_change_takes_effect

n1   absent in a child namespace
     test_containers.py::test_what_a_child_namespace_lacks_is_known
     test_containers.py::test_a_key_of_the_host_alone_is_not_applicable_in_a_container_and_says_whose_it_is
     kernel/test_catalogue_against_kernel.py::test_the_catalogue_describes_a_fresh_namespace_of_this_kernel
n2   there, and not writable
     test_containers.py::test_what_a_child_namespace_only_shows_is_known
     test_containers.py::test_the_probe_tells_absent_unreadable_shown_and_writable_apart
n3   the read-only tree
     test_containers.py::test_a_read_only_tree_is_seen_without_a_write
     plugins/test_host_real_kernel.py::test_a_read_only_tree_is_told_from_a_writable_one
n4   from which kernel on a namespace has its own
     test_containers.py::test_from_which_kernel_a_namespace_has_its_own_is_known
n5   the missing module
     test_containers.py::test_a_missing_module_does_not_stop_the_settings_beside_it
     test_containers.py::test_a_module_that_went_since_the_plan_stops_the_apply_before_anything_is_written
n6   a setting of the host does not reach containers that run
     not in this tool yet: what runs in child namespaces of a host is not looked at

l1   which file wins: names, folders, masks, links, /etc/sysctl.conf, spelling
     test_precedence.py::test_the_model_says_what_a_boot_leaves_and_names_the_line
     test_precedence.py::test_the_genuine_loader_leaves_the_same
     differential/test_boot_model.py::test_a_surprise_is_real_and_the_model_knows_it
l2   the same key can have two winners
     test_loaders.py::test_both_loaders_are_shown_where_they_disagree
     test_loaders.py::test_the_loader_of_the_host_decides_the_verdict_and_the_other_is_told
l3   procps writes a shadowed value for a moment
     test_loaders.py::test_a_dangerous_value_that_a_later_line_corrects_is_listed_with_its_line
l4   that the unit succeeded proves nothing
     test_loaders.py::test_that_the_unit_succeeded_proves_nothing_so_verify_reads_the_value
     test_loaders.py::test_the_next_boot_is_never_judged_by_running_a_loader
l5   interface keys are written later by others; all, default and the interface combine
     test_loaders.py::test_what_all_means_for_one_interface_is_explained
     test_loaders.py::test_who_writes_interface_keys_later_is_explained
l6   files of ufw, of an early boot, of one kernel release
     test_loaders.py::test_a_file_that_ufw_loads_itself_is_read_and_not_taken_for_one_of_a_boot
     not in this tool yet: /boot/sysctl.conf-RELEASE and files in an initramfs are not read
l7   some files act when they are read
     test_loaders.py::test_only_settings_that_were_asked_for_are_read
l8   what may not be read leaves the boot unknown
     test_precedence.py::test_a_file_that_may_not_be_read_and_comes_later_makes_the_boot_unknown
     test_precedence.py::test_a_sysctl_conf_that_may_not_be_read_makes_the_boot_unknown_under_procps_alone

s1   tabs and spaces, hexadecimal, lists of ports: compare as the kernel does
     test_values.py::test_what_means_the_same_to_the_kernel_is_met
     test_values.py::test_tabs_that_the_kernel_prints_are_single_spaces_in_facts
     test_values.py::test_a_port_more_in_the_list_is_a_difference
s2   a computed default is not a set value
     test_values.py::test_a_default_that_is_computed_from_memory_is_not_taken_for_set
s3   bytes, pages and unsigned numbers
     test_values.py::test_pages_and_bytes_have_their_own_names
     test_complaints.py::test_the_largest_number_that_a_setting_holds_is_known
s4   net.ipv4.tcp_* is for IPv6 too
     test_values.py::test_a_setting_of_ipv4_is_not_looked_for_below_ipv6
s5   secrets
     test_values.py::test_a_secret_is_not_in_facts_not_in_a_profile_not_in_a_request_and_not_explained
     unit/probes/test_state.py::test_no_script_names_a_secret
s6   one file of our own, whose rank is checked
     test_complaints.py::test_a_file_of_somebody_else_is_never_in_a_plan
     acceptance/test_next_boot.py::test_a_later_file_that_beats_ours_is_named_and_never_fought
     plugins/test_host_confirm.py::test_confirm_keeps_the_mode_of_a_file_that_was_there
s7   removing a line restores nothing
     test_complaints_writing.py::test_a_line_that_no_file_should_hold_needs_a_person_and_is_named

r1   counters are read by name, and only differences mean something
     unit/probes/test_state.py::test_names_and_numbers_of_counters_must_fit
     not in this tool yet: there is no gate that compares two samples
r2   batches and thresholds
     not in this tool yet: hosts are not changed in waves
r3   a dry run is no proof that nothing is pending
     test_complaints.py::test_pending_changes_have_an_exit_code_of_their_own_and_a_plan_without_any_says_so
r4   a timer that depends on the controller is none
     plugins/test_host_real_timer.py::test_the_timer_restores_real_settings_after_whoever_armed_it_was_killed
     acceptance/test_revert_timer.py::test_a_host_that_is_cut_off_after_apply_is_as_before_within_the_window_and_5_seconds
     plugins/test_host_there_and_back.py::test_a_crash_at_any_step_leaves_a_host_that_roll_back_restores
"""
