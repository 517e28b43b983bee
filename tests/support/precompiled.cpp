// Nothing of its own: the headers that tests/support/CMakeLists.txt names for it are precompiled with it.
