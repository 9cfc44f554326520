// `node --test tests/sdk/` treats a folder as a module and loads this file.
for (const suite of ['access', 'catalogue', 'clients', 'cors', 'license', 'ott_web_app', 'purchase', 'whole_client']) {
  import(`./${suite}.test.mjs`);
}
