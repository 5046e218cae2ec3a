// The program's name and version, as it shows them.

export const VERSION = '0.1.0'
/** The nginx whose behaviour and directives we follow; scripts read it from `-v` and `-V`. */
export const NGINX_VERSION = '1.31.5'
export const PRODUCT = 'portico'
