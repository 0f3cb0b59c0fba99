// Says which versions of the packages named on the command line are installed, and of what Node.js.
"use strict";

const versions = process.argv.slice(2).map((name) => `${name} ${require(`${name}/package.json`).version}`);
console.log([...versions, `Node.js ${process.versions.node}`].join(", "));
