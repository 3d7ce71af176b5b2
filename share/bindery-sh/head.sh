#!/bin/sh
# bindery-sh: updates for machines without Node, by bundles that are verified before any of them runs; see bindery-sh(1).
#
# shellcheck disable=SC3013,SC2317,SC2015,SC2154
# test has -ef in every shell, and in POSIX of 2024; every verb is called by its name; A && B || C means just that; what a bundle
# says of itself is not said here.

