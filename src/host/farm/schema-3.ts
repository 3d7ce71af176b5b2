/** Builds keep to the state of the sources that they were planned for, and know when nobody wants them any more. */
export const schema3: readonly string[] = [
  `alter table farm.source_state add column revision text, add column revision_at timestamptz`,
  `comment on column farm.source_state.revision is 'What builds bring the sources to: a commit of git, a tag of CVS; null in those of versions 1 and 2, which take to_tag'`,
  `comment on column farm.source_state.revision_at is 'At what time, for a tag of CVS'`,
  `alter table farm.build add column unwanted_at timestamptz`,
  `comment on column farm.build.unwanted_at is 'When its branch or architecture left farm.toml; null where it is there'`,
  `comment on column farm.build.queued_at is 'When it last came to wait by a look at the sources, or by a wish of a person'`,
]
