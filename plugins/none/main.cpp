// `none`, also installed as `loopback`: which of the two it is follows from the name that it was started under.

#include <string_view>

#include "plugins/none/none.hpp"

namespace {

bool is_called_loopback(const char* path) {
  const std::string_view name(path);
  return name.substr(name.find_last_of('/') + 1) == "loopback";  // npos + 1 is 0
}

}  // namespace

int main(int argc, char** argv) {
  using namespace netctl;
  const bool loopback = argc > 0 && is_called_loopback(*argv);
  return cni::run_process(loopback ? none::loopback_plugin() : none::plugin(), argc, argv);
}
