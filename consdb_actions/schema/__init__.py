"""What a Felis schema says, the delta of two, its digest and the version verdict. Pure."""
