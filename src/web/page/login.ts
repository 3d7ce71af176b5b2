import { html } from '../html.ts'
import type { PageBody } from './frame.ts'

/** `to` is a path of this server, and is where a login leads. */
export function loginPage(to: string, failure: string | undefined): PageBody {
  const main = html`<h1>Log in</h1>
<form class="login" method="post" action="/login">
<input type="hidden" name="to" value="${to}">
${failure !== undefined && html`<p role="alert" class="alert">${failure}</p>`}
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
<p class="dim">A token is made with <code>bindery farm token add</code>.</p>
</form>`
  return { title: 'Log in', path: '/login', live: false, main }
}
