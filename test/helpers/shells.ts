/**
 * A road under five shells takes minutes where starting a program is slow: CI goes it under dash and busybox, with a first look at the
 * others; `make test-shells` goes all of it under each.
 */
export const everyShell = process.env['BINDERY_SHELLS'] === 'all'
