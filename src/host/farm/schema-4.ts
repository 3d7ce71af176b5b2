/** Branches say whether their sources can be read. */
export const schema4: readonly string[] = [
  `alter table farm.branch add column look_failed_at timestamptz, add column look_why text
    constraint branch_look check ((look_failed_at is null) = (look_why is null))`,
  `comment on column farm.branch.look_failed_at is 'Since when looks at its sources fail; null where the last one succeeded'`,
  `comment on column farm.branch.look_why is 'What the last of them said'`,
]
