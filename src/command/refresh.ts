import { expiringLine, refreshRepository } from '../engine/repo/refresh.ts'
import { renewBundles, signedListKey } from '../engine/bundle/signed-list.ts'
import { writeRepositoryFolder } from '../host/repository-folder.ts'
import { listSigner } from './bundle-list.ts'
import { sharedFlags } from './flags.ts'
import { keyringOf, lifetimeOptions, lifetimesOf } from './repository-options.ts'
import type { Command } from './command.ts'

export const refresh: Command = {
  name: 'refresh',
  summary: 'renew the short-lived metadata of a repository',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    repo: sharedFlags.repo,
    keys: sharedFlags.keys,
    seckey: { ...sharedFlags.seckey, help: 'sign the list of bundles anew with this key, good for as long as before' },
    ...lifetimeOptions,
  },
  examples: [
    'bindery refresh -r /var/www/updates -k /etc/bindery/online-keys',
    'bindery refresh -r /var/www/updates -k /etc/bindery/online-keys -s /etc/bindery/bundles.sec',
  ],
  run: async (context, input) => {
    const keyring = await keyringOf(context, input.required('keys'))
    const lifetimes = lifetimesOf(input)
    const seckey = input.value('seckey')
    const signing = seckey === undefined ? undefined : await listSigner(context, seckey)
    await writeRepositoryFolder(input.required('repo'), 'refresh', async (store) => {
      const { renewed, expiring } = await refreshRepository({ store, keyring, clock: context.clock, lifetimes })
      context.explain(`renewed ${renewed.join(', ')}`)
      for (const one of expiring) context.say(expiringLine(one))
      if (signing !== undefined && (await renewBundles(store, signing)) !== undefined) context.explain(`renewed ${signedListKey}`)
    })
    return 0
  },
}
