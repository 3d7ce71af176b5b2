/**
 * The first version of the catalog. Builds repeat their update's branch and port, held to it by the foreign key, so that lists of them need
 * one index and no join. Every query of host/farm has the index that it is for.
 */
export const schema1: readonly string[] = [
  `create table farm.branch (
    name        text not null constraint branch_pk primary key,
    release     text not null,
    source_kind text not null constraint branch_source_kind check (source_kind in ('cvs', 'git')),
    source      text not null,
    module      text,
    from_tag    text not null,
    to_tag      text not null,
    sqlports    text,
    archs       text[] not null constraint branch_archs check (cardinality(archs) > 0),
    tags        text[] not null default '{}',
    paused      boolean not null default false,
    retired     boolean not null default false
  )`,
  `comment on table farm.branch is 'A line of packages: the ports of one release, and who gets them'`,
  `comment on column farm.branch.source is 'Root of CVS, or folder of a clone of git'`,
  `comment on column farm.branch.tags is 'What a builder must have to be asked'`,
  `comment on column farm.branch.retired is 'No longer in farm.toml'`,

  `create table farm.source_state (
    id       bigint generated always as identity constraint source_state_pk primary key,
    branch   text not null constraint source_state_branch_fk references farm.branch (name),
    digest   text not null constraint source_state_digest check (digest ~ '^[0-9a-f]{64}$'),
    from_tag text not null,
    to_tag   text not null,
    seen_at  timestamptz not null default now()
  )`,
  `comment on table farm.source_state is 'What the sources of a branch were found to be; the digest is over all changed paths and their revisions'`,
  `create index source_state_newest on farm.source_state (branch, id desc)`,

  `create table farm.update (
    id           bigint generated always as identity constraint update_pk primary key,
    branch       text not null constraint update_branch_fk references farm.branch (name),
    pkgpath      text not null,
    key          text not null constraint update_key check (key ~ '^[0-9a-f]{64}$'),
    source_state bigint not null constraint update_source_state_fk references farm.source_state (id),
    is_security  boolean not null,
    cves         text[] not null default '{}',
    messages     text[] not null default '{}',
    is_newest    boolean not null default true,
    seen_at      timestamptz not null default now(),
    constraint update_of_branch_uq unique (id, branch, pkgpath)
  )`,
  `comment on table farm.update is 'A port that changed; the key is over its changed paths and their revisions, and names the work'`,
  `comment on column farm.update.messages is 'Subjects of the commits'`,
  `create unique index update_newest_uq on farm.update (branch, pkgpath) where is_newest`,
  `create index update_source_state on farm.update (source_state)`,
  `create index update_security on farm.update (id desc) where is_security`,

  `create table farm.build (
    id             bigint generated always as identity constraint build_pk primary key,
    update_id      bigint not null,
    branch         text not null,
    pkgpath        text not null,
    arch           text not null,
    packages       text[] not null constraint build_packages check (cardinality(packages) > 0),
    state          text not null default 'waiting' constraint build_state check (state in
      ('waiting', 'building', 'built', 'failed', 'quarantined', 'cancelled', 'handed-over', 'signed', 'published', 'superseded')),
    priority       integer not null default 0,
    failures       integer not null default 0 constraint build_failures check (failures >= 0),
    not_before     timestamptz,
    job            uuid,
    since          timestamptz not null default now(),
    queued_at      timestamptz not null default now(),
    started_at     timestamptz,
    ended_at       timestamptz,
    handed_over_at timestamptz,
    signed_at      timestamptz,
    published_at   timestamptz,
    constraint build_update_fk foreign key (update_id, branch, pkgpath) references farm.update (id, branch, pkgpath),
    constraint build_work_uq unique (update_id, arch)
  )`,
  `comment on table farm.build is 'An update on one architecture'`,
  `comment on column farm.build.packages is 'Fullpkgpaths'`,
  `comment on column farm.build.failures is 'In a row, since it last waited by a wish of a person'`,
  `comment on column farm.build.not_before is 'When a failed build is tried again'`,
  `comment on column farm.build.job is 'In the queue (schema farm_queue)'`,
  `comment on column farm.build.since is 'When it came into its state'`,
  `comment on column farm.build.ended_at is 'When it was last built, or failed'`,
  `create index build_state_since on farm.build (state, since desc, id desc)`,
  `create index build_branch_arch_state on farm.build (branch, arch, state, id)`,
  `create index build_history on farm.build (branch, pkgpath, id desc)`,
  `create index build_pkgpath on farm.build (pkgpath, id desc)`,

  `create table farm.builder (
    name        text not null constraint builder_pk primary key,
    public_key  text,
    arch        text not null,
    releases    text[] not null default '{}',
    tags        text[] not null default '{}',
    jobs        integer not null default 1 constraint builder_jobs check (jobs between 1 and 1000),
    paused      boolean not null default false,
    quarantined boolean not null default false,
    removed     boolean not null default false,
    seen_at     timestamptz,
    load        double precision,
    added_at    timestamptz not null default now()
  )`,
  `comment on table farm.builder is 'A machine that builds, or a place on the controller'`,
  `comment on column farm.builder.public_key is 'The key that signs its requests; none for a place on the controller'`,
  `comment on column farm.builder.releases is 'Those that it builds for; empty where it builds for all'`,

  `create table farm.attempt (
    id           bigint generated always as identity constraint attempt_pk primary key,
    build        bigint not null constraint attempt_build_fk references farm.build (id),
    number       integer not null constraint attempt_number check (number > 0),
    builder      text not null constraint attempt_builder_fk references farm.builder (name),
    job          uuid not null,
    job_try      integer not null,
    started_at   timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    ended_at     timestamptz,
    outcome      text constraint attempt_outcome check (outcome in ('built', 'failed', 'lost', 'released', 'cancelled', 'superseded')),
    why          text not null default '',
    lines        text[] not null default '{}',
    log_file     text not null default '',
    log_size     bigint not null default 0,
    constraint attempt_number_uq unique (build, number),
    constraint attempt_ended check ((ended_at is null) = (outcome is null))
  )`,
  `comment on table farm.attempt is 'One try of one builder at a build'`,
  `comment on column farm.attempt.job_try is 'Which try of the job this is, as the queue counts; with the job, the lease'`,
  `comment on column farm.attempt.lines is 'What its log says of a failure'`,
  `comment on column farm.attempt.log_file is 'Below the folder of the farm'`,
  `create unique index attempt_open_uq on farm.attempt (build) where ended_at is null`,
  `create index attempt_open on farm.attempt (heartbeat_at) where ended_at is null`,
  `create index attempt_builder on farm.attempt (builder, id desc)`,

  `create table farm.package (
    id           bigint generated always as identity constraint package_pk primary key,
    build        bigint not null constraint package_build_fk references farm.build (id),
    file         text not null,
    pkgpath      text not null,
    sha256       text not null constraint package_sha256 check (sha256 ~ '^[0-9a-f]{64}$'),
    size         bigint not null constraint package_size check (size >= 0),
    signature    text not null,
    reproducible boolean,
    built_at     timestamptz not null default now(),
    constraint package_file_uq unique (build, file)
  )`,
  `comment on table farm.package is 'A file that a build made'`,
  `comment on column farm.package.signature is 'The update signature, as pkg_add prints it'`,
  `comment on column farm.package.reproducible is 'Whether a second build gave the same bytes; null where there was none'`,

  `create table farm.handover (
    id           bigint generated always as identity constraint handover_pk primary key,
    branch       text not null constraint handover_branch_fk references farm.branch (name),
    arch         text not null,
    digest       text not null constraint handover_digest check (digest ~ '^[0-9a-f]{64}$'),
    file         text not null,
    basis        text,
    state        text not null default 'requested'
      constraint handover_state check (state in ('requested', 'signed', 'published', 'withdrawn', 'stale')),
    made_at      timestamptz not null default now(),
    notified_at  timestamptz,
    signed_at    timestamptz,
    published_at timestamptz
  )`,
  `comment on table farm.handover is 'A request to the signer, for one branch and architecture'`,
  `comment on column farm.handover.digest is 'Of the record in the request'`,
  `comment on column farm.handover.file is 'Below the folder of the farm'`,
  `comment on column farm.handover.basis is 'Of the SHA256.sig that it follows; null for the first'`,
  `create unique index handover_open_uq on farm.handover (branch, arch) where state in ('requested', 'signed')`,
  `create index handover_state_made on farm.handover (state, id)`,

  `create table farm.handover_package (
    handover bigint not null constraint handover_package_handover_fk references farm.handover (id),
    package  bigint not null constraint handover_package_package_fk references farm.package (id),
    constraint handover_package_pk primary key (handover, package)
  )`,
  `comment on table farm.handover_package is 'What a request asks to be signed'`,
  `create index handover_package_package on farm.handover_package (package)`,

  `create table farm.publication (
    id           bigint generated always as identity constraint publication_pk primary key,
    branch       text not null constraint publication_branch_fk references farm.branch (name),
    arch         text not null,
    handover     bigint constraint publication_handover_fk references farm.handover (id),
    digest       text not null constraint publication_digest check (digest ~ '^[0-9a-f]{64}$'),
    packages     integer not null,
    published_at timestamptz not null default now()
  )`,
  `comment on table farm.publication is 'A set of packages that mirrors and users could have from then on'`,
  `comment on column farm.publication.digest is 'Of its SHA256.sig'`,
  `create index publication_newest on farm.publication (branch, arch, id desc)`,
  `create index publication_handover on farm.publication (handover)`,

  `create table farm.mirror (
    place    text not null constraint mirror_pk primary key,
    added_at timestamptz not null default now(),
    removed  boolean not null default false
  )`,
  `comment on table farm.mirror is 'Where published packages are brought to, or looked for'`,

  `create table farm.sighting (
    id          bigint generated always as identity constraint sighting_pk primary key,
    mirror      text not null constraint sighting_mirror_fk references farm.mirror (place),
    branch      text not null constraint sighting_branch_fk references farm.branch (name),
    arch        text not null,
    state       text not null constraint sighting_state check (state in ('current', 'missing', 'behind', 'other', 'torn', 'failed')),
    lag_seconds bigint,
    files       text[] not null default '{}',
    why         text not null default '',
    first_at    timestamptz not null default now(),
    last_at     timestamptz not null default now(),
    is_newest   boolean not null default true
  )`,
  `comment on table farm.sighting is 'How a mirror was found to stand, from the first look that found it so to the last'`,
  `create unique index sighting_newest_uq on farm.sighting (mirror, branch, arch) where is_newest`,
  `create index sighting_history on farm.sighting (mirror, branch, arch, id desc)`,

  `create table farm.operator (
    name         text not null constraint operator_pk primary key,
    token_sha256 text not null constraint operator_token_uq unique,
    may          text not null constraint operator_may check (may in ('read', 'act')),
    added_at     timestamptz not null default now()
  )`,
  `comment on table farm.operator is 'Who may act; of the token only a digest is kept'`,

  `create table farm.report (
    machine     text not null,
    channel     text not null,
    release     text not null,
    reported_at timestamptz not null,
    key         text not null,
    constraint report_pk primary key (machine, channel)
  )`,
  `comment on table farm.report is 'What a machine of the fleet last said that it runs; signed by the key'`,
  `create index report_at on farm.report (reported_at)`,

  `create table farm.event (
    id      bigint generated always as identity constraint event_pk primary key,
    at      timestamptz not null default now(),
    actor   text not null,
    kind    text not null,
    subject text not null,
    what    text not null
  )`,
  `comment on table farm.event is 'The audit trail: who did what, to what'`,
  `create index event_subject on farm.event (kind, subject, id desc)`,
]
