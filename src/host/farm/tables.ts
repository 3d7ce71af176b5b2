import type { Generated, GeneratedAlways } from 'kysely'
import type { AttemptOutcome, BuildState } from '../../port/farm-build.ts'
import type { HandoverState, Report, Sighting } from '../../port/farm-catalog.ts'

/** The columns of schema `farm` (schema-1.ts and those after it), as queries see them. */
export type Tables = {
  readonly 'farm.branch': BranchTable
  readonly 'farm.source_state': SourceStateTable
  readonly 'farm.update': UpdateTable
  readonly 'farm.build': BuildTable
  readonly 'farm.builder': BuilderTable
  readonly 'farm.attempt': AttemptTable
  readonly 'farm.package': PackageTable
  readonly 'farm.handover': HandoverTable
  readonly 'farm.handover_package': { readonly handover: number; readonly package: number }
  readonly 'farm.publication': PublicationTable
  readonly 'farm.mirror': { readonly place: string; readonly added_at: Generated<Date>; readonly removed: Generated<boolean> }
  readonly 'farm.sighting': SightingTable
  readonly 'farm.operator': OperatorTable
  readonly 'farm.report': ReportTable
  readonly 'farm.event': EventTable
}

type BranchTable = {
  readonly name: string
  readonly release: string
  readonly source_kind: 'cvs' | 'git'
  readonly source: string
  readonly module: string | null
  readonly from_tag: string
  readonly to_tag: string
  readonly sqlports: string | null
  readonly archs: readonly string[]
  readonly tags: Generated<readonly string[]>
  readonly paused: Generated<boolean>
  readonly retired: Generated<boolean>
  readonly look_failed_at: Date | null
  readonly look_why: string | null
}

type SourceStateTable = {
  readonly id: GeneratedAlways<number>
  readonly branch: string
  readonly digest: string
  readonly from_tag: string
  readonly to_tag: string
  readonly revision: string | null
  readonly revision_at: Date | null
  readonly seen_at: Generated<Date>
}

type UpdateTable = {
  readonly id: GeneratedAlways<number>
  readonly branch: string
  readonly pkgpath: string
  readonly key: string
  readonly source_state: number
  readonly is_security: boolean
  readonly cves: Generated<readonly string[]>
  readonly messages: Generated<readonly string[]>
  readonly is_newest: Generated<boolean>
  readonly seen_at: Generated<Date>
}

export type BuildTable = {
  readonly id: GeneratedAlways<number>
  readonly update_id: number
  readonly branch: string
  readonly pkgpath: string
  readonly arch: string
  readonly packages: readonly string[]
  readonly state: Generated<BuildState>
  readonly priority: Generated<number>
  readonly failures: Generated<number>
  readonly not_before: Date | null
  readonly job: string | null
  readonly since: Generated<Date>
  readonly queued_at: Generated<Date>
  readonly started_at: Date | null
  readonly ended_at: Date | null
  readonly handed_over_at: Date | null
  readonly signed_at: Date | null
  readonly published_at: Date | null
  readonly unwanted_at: Date | null
}

type BuilderTable = {
  readonly name: string
  readonly public_key: string | null
  readonly arch: string
  readonly releases: Generated<readonly string[]>
  readonly tags: Generated<readonly string[]>
  readonly jobs: Generated<number>
  readonly paused: Generated<boolean>
  readonly quarantined: Generated<boolean>
  readonly removed: Generated<boolean>
  readonly seen_at: Date | null
  readonly load: number | null
  readonly added_at: Generated<Date>
}

export type AttemptTable = {
  readonly id: GeneratedAlways<number>
  readonly build: number
  readonly number: number
  readonly builder: string
  readonly job: string
  readonly job_try: number
  readonly started_at: Generated<Date>
  readonly heartbeat_at: Generated<Date>
  readonly ended_at: Date | null
  readonly outcome: AttemptOutcome | null
  readonly why: Generated<string>
  readonly lines: Generated<readonly string[]>
  readonly log_file: Generated<string>
  readonly log_size: Generated<number>
}

export type PackageTable = {
  readonly id: GeneratedAlways<number>
  readonly build: number
  readonly file: string
  readonly pkgpath: string
  readonly sha256: string
  readonly size: number
  readonly signature: string
  readonly reproducible: boolean | null
  readonly built_at: Generated<Date>
}

export type HandoverTable = {
  readonly id: GeneratedAlways<number>
  readonly branch: string
  readonly arch: string
  readonly digest: string
  readonly file: string
  readonly basis: string | null
  readonly state: Generated<HandoverState>
  readonly made_at: Generated<Date>
  readonly notified_at: Date | null
  readonly signed_at: Date | null
  readonly published_at: Date | null
}

type PublicationTable = {
  readonly id: GeneratedAlways<number>
  readonly branch: string
  readonly arch: string
  readonly handover: number | null
  readonly digest: string
  readonly packages: number
  readonly published_at: Generated<Date>
}

type SightingTable = {
  readonly id: GeneratedAlways<number>
  readonly mirror: string
  readonly branch: string
  readonly arch: string
  readonly state: Sighting['state']
  readonly lag_seconds: number | null
  readonly files: Generated<readonly string[]>
  readonly why: Generated<string>
  readonly first_at: Generated<Date>
  readonly last_at: Generated<Date>
  readonly is_newest: Generated<boolean>
}

type OperatorTable = {
  readonly name: string
  readonly token_sha256: string
  readonly may: 'read' | 'act'
  readonly added_at: Generated<Date>
}

type ReportTable = {
  readonly machine: string
  readonly channel: string
  readonly release: string
  readonly reported_at: Date
  readonly key: string
  readonly last_run: Generated<string>
  readonly reboot: Generated<Report['reboot']>
}

type EventTable = {
  readonly id: GeneratedAlways<number>
  readonly at: Generated<Date>
  readonly actor: string
  readonly kind: string
  readonly subject: string
  readonly what: string
}
