/* crypt32.dll: certificate stores, PFX, chains. */
