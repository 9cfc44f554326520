// `node --test tests/sdk/` takes a folder for a module and looks for this file.
for (const suite of ['access', 'catalogue', 'cors', 'license', 'ott_web_app', 'purchase']) {
  import(`./${suite}.test.mjs`);
}
