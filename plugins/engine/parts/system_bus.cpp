#include "plugins/engine/parts/system_bus.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace netctl::engine {
namespace {

constexpr const char* kDefaultSocket = "/run/dbus/system_bus_socket";
constexpr const char* kBusName = "org.freedesktop.DBus";
constexpr time_t kPatienceSeconds = 25;  // what other clients wait for, too
constexpr std::size_t kMessageLimit = 1U << 20U;
constexpr std::size_t kFixedHeader = 16;

enum MessageType : std::uint8_t { kCall = 1, kReturn = 2, kError = 3 };
enum HeaderField : std::uint8_t {
  kPath = 1,
  kInterface = 2,
  kMember = 3,
  kErrorName = 4,
  kReplySerial = 5,
  kDestination = 6,
  kSignature = 8
};

[[noreturn]] void throw_broken(const std::string& what) {
  throw Error(ErrorCode::kIo, "the system's message bus cannot be talked to: " + what);
}

/// Values in the wire's order, each at a multiple of its size.
class Writer {
 public:
  void align(std::size_t size) { bytes_.resize((bytes_.size() + size - 1) / size * size); }
  void u8(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void u32(std::uint32_t value) {
    align(sizeof value);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    u32(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value.c_str(), value.size() + 1);
  }
  void signature(const std::string& value) {
    u8(static_cast<std::uint8_t>(value.size()));
    bytes_.append(value.c_str(), value.size() + 1);
  }
  /// One entry of the header's list: a number, and a value with its type.
  void field(HeaderField number, const char* type, const std::string& value) {
    align(8);
    u8(number);
    signature(type);
    *type == 'g' ? signature(value) : text(value);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads what came, and never beyond it.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  void align(std::size_t size) { position_ = (position_ + size - 1) / size * size; }
  [[nodiscard]] bool at_end() const { return position_ >= bytes_.size(); }
  std::uint8_t u8() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::uint32_t u32() {
    align(sizeof(std::uint32_t));
    std::uint32_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() { return text_of(u32()); }
  std::string signature() { return text_of(u8()); }

 private:
  std::string text_of(std::size_t length) {
    std::string value(take(length));
    take(1);
    return value;
  }
  std::string_view take(std::size_t count) {
    if (position_ > bytes_.size() || bytes_.size() - position_ < count) throw_broken("a message is cut off");
    const std::string_view part = bytes_.substr(position_, count);
    position_ += count;
    return part;
  }
  std::string_view bytes_;
  std::size_t position_ = 0;
};

std::string encode(const BusCall& call, std::uint32_t serial) {
  Writer body;
  for (const std::string& argument : call.arguments) body.text(argument);
  Writer fields;
  fields.field(kPath, "o", call.path);
  fields.field(kInterface, "s", call.interface);
  fields.field(kMember, "s", call.method);
  fields.field(kDestination, "s", call.destination);
  if (!call.arguments.empty()) fields.field(kSignature, "g", std::string(call.arguments.size(), 's'));
  Writer message;
  message.u8('l');  // little endian, as this machine is; see the assertion below
  message.u8(kCall);
  message.u8(0);
  message.u8(1);  // of the protocol
  message.u32(static_cast<std::uint32_t>(body.bytes().size()));
  message.u32(serial);
  message.u32(static_cast<std::uint32_t>(fields.bytes().size()));
  std::string bytes = message.bytes() + fields.bytes();
  bytes.resize((bytes.size() + 7) / 8 * 8);
  return bytes + body.bytes();
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "system_bus.cpp writes numbers as they lie in memory");

struct Message {
  std::uint8_t type = 0;
  std::uint32_t reply_serial = 0;
  BusAnswer answer;
};

Message decode(const std::string& header, const std::string& body) {
  Message message;
  message.type = static_cast<std::uint8_t>(header[1]);
  std::string signature;
  // Offsets in the list count from its own beginning, which is a multiple of eight.
  Reader fields(std::string_view(header).substr(kFixedHeader));
  while (!fields.at_end()) {
    const std::uint8_t number = fields.u8();
    const std::string type = fields.signature();
    if (type == "u") {
      const std::uint32_t value = fields.u32();
      if (number == kReplySerial) message.reply_serial = value;
    } else {
      const std::string value = type == "g" ? fields.signature() : fields.text();
      if (number == kErrorName) message.answer.error_name = value;
      if (number == kSignature) signature = value;
    }
    fields.align(8);
  }
  Reader values(body);
  if (signature.substr(0, 1) == "s") message.answer.text = values.text();
  if (signature == "b") message.answer.flag = values.u32() != 0;
  message.answer.is_error = message.type == kError;
  return message;
}

std::string socket_path() {
  const char* address = std::getenv("DBUS_SYSTEM_BUS_ADDRESS");
  if (address == nullptr || *address == '\0') return kDefaultSocket;
  constexpr std::string_view kScheme = "unix:path=";
  const std::string_view given = address;
  if (given.substr(0, kScheme.size()) != kScheme) {
    throw_broken("DBUS_SYSTEM_BUS_ADDRESS is \"" + std::string(given) + "\", only unix:path=... is known");
  }
  return std::string(given.substr(kScheme.size(), given.find_first_of(",;") - kScheme.size()));
}

UniqueFd open_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw_broken("the path of its socket is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno("could not make a socket for the message bus");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  const timeval patience{kPatienceSeconds, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return fd;
}

}  // namespace

struct SystemBus::Impl {
  UniqueFd fd;
  std::uint32_t next_serial = 1;

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) throw_broken(errno_text(errno));
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  [[nodiscard]] std::string receive(std::size_t size) const {
    std::string bytes(size, '\0');
    for (std::size_t done = 0; done < size;) {
      const ssize_t count = ::recv(fd.get(), bytes.data() + done, size - done, 0);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) {
        throw Error(ErrorCode::kTryAgainLater, "the system's message bus gives no answer; try again");
      }
      if (count == 0) throw_broken("it hung up");
      if (count < 0) throw_broken(errno_text(errno));
      done += static_cast<std::size_t>(count);
    }
    return bytes;
  }

  /// SASL, mechanism EXTERNAL: the kernel has told the bus who we are.
  void authenticate() const {
    std::string uid;
    for (const char digit : std::to_string(::geteuid())) uid += std::string("3") + digit;  // '0' is 0x30
    send(std::string(1, '\0') + "AUTH EXTERNAL " + uid + "\r\n");
    std::string line;
    while (line.size() < 256 && (line.size() < 2 || line.substr(line.size() - 2) != "\r\n"))
      line += receive(1);
    if (line.rfind("OK ", 0) != 0) throw_broken("it lets nobody in: " + line.substr(0, line.find('\r')));
    send("BEGIN\r\n");
  }

  [[nodiscard]] Message read_message() const {
    std::string header = receive(kFixedHeader);
    if (header[0] != 'l') throw_broken("a message in another byte order");
    Reader fixed(header);
    (void)fixed.u32();  // order, type, flags, version
    const std::size_t body_size = fixed.u32();
    (void)fixed.u32();  // serial
    const std::size_t fields_size = fixed.u32();
    if (body_size > kMessageLimit || fields_size > kMessageLimit) throw_broken("a message is too long");
    header += receive(fields_size);
    (void)receive((8 - fields_size % 8) % 8);
    return decode(header, receive(body_size));
  }
};

SystemBus::SystemBus(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SystemBus::SystemBus(SystemBus&&) noexcept = default;
SystemBus& SystemBus::operator=(SystemBus&&) noexcept = default;
SystemBus::~SystemBus() = default;

std::optional<SystemBus> SystemBus::connect() {
  UniqueFd fd = open_socket(socket_path());
  if (!fd) return std::nullopt;
  auto impl = std::make_unique<Impl>();
  impl->fd = std::move(fd);
  impl->authenticate();
  SystemBus bus(std::move(impl));
  const BusAnswer hello = bus.call({kBusName, "/org/freedesktop/DBus", kBusName, "Hello", {}});
  if (hello.is_error) throw_broken(hello.text);
  return bus;
}

bool SystemBus::has_owner(const std::string& name) {
  const BusAnswer answer = call({kBusName, "/org/freedesktop/DBus", kBusName, "NameHasOwner", {name}});
  return !answer.is_error && answer.flag;
}

BusAnswer SystemBus::call(const BusCall& call) {
  const std::uint32_t serial = impl_->next_serial++;
  impl_->send(encode(call, serial));
  for (;;) {
    Message message = impl_->read_message();
    const bool is_answer = message.type == kReturn || message.type == kError;  // signals come in between
    if (is_answer && message.reply_serial == serial) return std::move(message.answer);
  }
}

}  // namespace netctl::engine
