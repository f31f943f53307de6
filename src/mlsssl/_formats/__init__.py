"""Reading and writing the formats that certificates and keys come in: bytes in, values out, and back."""
