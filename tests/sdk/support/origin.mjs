// The origin behind the Worker: its command, which makes customers and accounts, and its address.

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';

import { personas, required } from './environment.mjs';

const program = required('ADMIT_ORIGIN', "the origin's program");
const database = required('ADMIT_ORIGIN_DB', "the running origin's database");

/** The origin's own address, for requests that do not pass the edge. */
export const originUrl = required('ADMIT_ORIGIN_URL', "the running origin's address").replace(/\/+$/, '');

export const MERCHANT_ID = 2101;

/** The merchant's app for web pages. */
export const CLIENT_ID = '5hq2v8mfernhollowweb71c0';

export const PASSWORD = 'correct horse';

/** A merchant's token, which may grant access. */
export const merchantToken = personas.find(({ name }) => name === 'merchant')?.token;

function origin(args, input = '') {
  const env = { ...process.env, ORIGIN_DB: database };
  return execFileSync(program, args, { env, input, encoding: 'utf8' }).trim();
}

/**
 * A new customer, so that purchases here change no answer that another test waits for:
 * `{id, subject, email}`, with an account and `PASSWORD`.
 */
export function newcomer() {
  const subject = randomUUID();
  const name = ['--customer', `vendor:${subject}`, '--merchant', String(MERCHANT_ID)];
  const id = Number(origin(['customer', 'add', ...name]));
  const email = `${subject}@viewer.example`;
  origin(['account', 'set', ...name, '--username', email], PASSWORD);
  return { id, subject, email };
}

/** A program that acts for the merchant: `{clientId, clientSecret}`. */
export function newProgram() {
  const clientId = `shop-${randomUUID()}`;
  const name = ['--client-id', clientId, '--merchant', String(MERCHANT_ID), '--role', 'merchant'];
  return { clientId, clientSecret: origin(['client', 'set', ...name]) };
}
