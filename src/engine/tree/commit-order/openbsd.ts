import type { OrderRules } from '../commit-order.ts'

export const openbsdOrder: OrderRules = {
  linker: ['/usr/libexec/ld.so'],
  libc: ['/usr/lib/libc.so{,.*}'],
  peers: ['/usr/lib/lib{pthread,m}.so{,.*}'],
  database: ['/var/run/ld.so.hints', '/usr/{share,local,X11R6}/**/mandoc.db'],
  boot: ['/bsd{,.*}', '/{boot,ofwboot}{,.*}', '/usr/mdec/**'],
}
