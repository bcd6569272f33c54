module mosaic/tests/interop/diff

go 1.19
