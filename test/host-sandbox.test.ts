import { namespacesMissing } from '../src/host/job-namespaces.ts'
import { hostSandboxes } from '../src/host/sandbox.ts'
import { sandboxConformance } from './conformance/sandbox.ts'
import { needs, needsRoot } from './helpers/programs.ts'

const missing = await namespacesMissing()
const isolated = missing === undefined ? {} : { skip: missing }
const options = { ...needs('busybox'), ...needsRoot(), isolated }

for (const kind of ['overlay', 'snapshot', 'destdir'] as const) sandboxConformance(kind, hostSandboxes, 'src/host/sandbox.ts', options)
