#!/bin/sh
# What finishes an interrupted update of bindery, or takes it back, without bindery and Node; see bindery-recover(1).
# The client writes it beside its journal, which it knows.
#
# shellcheck disable=SC3013,SC2317,SC2015,SC2154
# test has -ef in every shell, and in POSIX of 2024; every action is called by its name; A && B || C means just that; what a bundle
# says of itself is not said here.
