import { ConfigurationError } from '../../errors.js';
import { showType } from '../../validation.js';

export function isKnex(value: unknown): boolean {
  return typeof value === 'function' && 'client' in value && 'raw' in value;
}

export function validateKnex(knex: unknown): void {
  if (isKnex(knex)) return;
  throw new ConfigurationError(`Expected a Knex instance, got ${showType(knex)}. Bind the return value of \`knex(config)\`.`);
}
