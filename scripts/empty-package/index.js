// msgpackr looks whether this is truthy before it uses the native string reader; an empty object would break it.
module.exports = null;
