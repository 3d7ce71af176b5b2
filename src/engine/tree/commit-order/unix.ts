import type { OrderRules } from '../commit-order.ts'

/** What holds on every system. */
export const unixOrder: OrderRules = {
  // Whatever may be loaded, plug-ins included.
  library: ['/{,usr/,usr/local/,usr/pkg/,usr/X11R6/,usr/X11R7/}lib{,32,64,x32,exec,data}/**/*.so{,.[0-9]*}'],
  database: ['/etc/{pwd,spwd,login.conf,aliases}.db', '/etc/mail/*.db'],
}
