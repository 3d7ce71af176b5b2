import { BinderyError } from '../base/error.ts'
import { showText } from '../base/show-text.ts'
import { explain } from '../engine/pkg/check/explain.ts'
import { print } from './output.ts'
import type { Catalog } from '../engine/pkg/check/candidate.ts'
import type { ElementChange, Explanation } from '../engine/pkg/check/explain.ts'
import type { Installed } from '../engine/pkg/check/installed.ts'
import type { Context, Input } from './command.ts'

/** `--explain`: on stdout, since it is what was asked for. Answers 0; one that is not installed is an error. */
export async function explainPackages(
  context: Context,
  input: Input,
  names: readonly string[],
  installed: Installed,
  catalog: Catalog,
): Promise<number> {
  for (const wanted of names) {
    const packages = installed.packages.filter(({ name, stem }) => name === wanted || stem === wanted)
    if (packages.length === 0) throw new BinderyError('not-found', 'is not installed, or cannot be read', { subject: wanted })
    for (const one of packages) {
      const explanation = explain(one, catalog)
      await print(context, input.flag('json') ? `${JSON.stringify(recordOf(explanation))}\n` : textOf(explanation))
    }
  }
  return 0
}

function recordOf({ installed, verdict, candidate, changes }: Explanation): Readonly<Record<string, unknown>> {
  return { kind: 'explanation', installed: installed.name, verdict, available: candidate?.name, changes }
}

const verdicts: Readonly<Record<Explanation['verdict'], string>> = {
  update: 'there is an update',
  current: 'is up to date',
  newer: 'is newer than what the mirror has',
  unknown: 'is not on the mirror',
  other: 'is on the mirror with other flavors or from another path alone',
}

function textOf({ installed, verdict, candidate, changes }: Explanation): string {
  const to = candidate === undefined || verdict === 'current' ? '' : `: ${candidate.name}`
  return showText([`${installed.name} ${verdicts[verdict]}${to}`, ...changes.map(changeLine), ''].join('\n'))
}

function changeLine({ kind, old, new: next }: ElementChange): string {
  return `  ${kind}: ${old ?? 'none'} -> ${next ?? 'none'}`
}
