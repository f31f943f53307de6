/* advapi32.dll: keys of the older providers. */
