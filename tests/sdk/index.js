// `node --test tests/sdk/` treats a folder as a module and loads this file.
for (const suite of ['access', 'catalogue', 'cors', 'license', 'ott_web_app', 'purchase']) {
  import(`./${suite}.test.mjs`);
}
