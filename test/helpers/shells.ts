/**
 * A road under five shells takes minutes where starting a program is slow: CI goes it under dash and busybox, or one of them, with a first
 * look at mksh; `make test-shells` goes all of it under each, and kills a bundle more often.
 */
export const everyShell = process.env['BINDERY_SHELLS'] === 'all'
