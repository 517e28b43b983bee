#pragma once
// The standard descriptors and signals of executables that are started like a CNI plugin but speak another protocol.

#include <cstddef>
#include <optional>
#include <string>

namespace netctl::cni {

/// To be called first: closed standard descriptors get stand-ins that fail, and signals that would end the process in the
/// middle of its work are blocked until it is gone.
void prepare_program() noexcept;

/// All of stdin; nullopt when there is more than `limit` bytes. Errors: kIo.
[[nodiscard]] std::optional<std::string> read_standard_input(std::size_t limit);

/// Errors: kIo when not all of it could be written.
void print_to_standard_output(const std::string& text);

}  // namespace netctl::cni
