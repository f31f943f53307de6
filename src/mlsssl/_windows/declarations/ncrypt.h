/* ncrypt.dll: CNG keys. */
