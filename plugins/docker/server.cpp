#include "plugins/docker/server.hpp"

#include <httplib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <mutex>
#include <thread>

#include "plugins/cni/json_text.hpp"
#include "plugins/docker/calls.hpp"
#include "plugins/engine/log.hpp"
#include "plugins/frontdoor/program.hpp"

namespace netctl::docker {
namespace {

constexpr const char* kContentType = "application/vnd.docker.plugins.v1.2+json";
constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;

/// httplib binds a path by itself only; ours may come from the service manager. Then the next process listens on the very
/// same socket: stop(), which shuts it down for everybody, must not be called.
class Server : public httplib::Server {
 public:
  explicit Server(UniqueFd listener) { svr_sock_ = listener.release(); }

  /// Ends the loop that accepts; calls that run are finished. Who connects from now on waits for the next process.
  void finish() {
    const socket_t listener = svr_sock_.exchange(INVALID_SOCKET);
    sockaddr_un address{};
    socklen_t size = sizeof address;
    if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
    const UniqueFd wake(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::connect(wake.get(), reinterpret_cast<const sockaddr*>(&address), size);
  }
};

/// Docker reads "Err" from a network driver, and "Error" from an IPAM driver.
void answer_error(httplib::Response& response, int status, const Error& error) {
  const std::string text = frontdoor::one_line(error);
  response.status = status;
  response.set_content(cni::to_text({{"Err", text}, {"Error", text}}), kContentType);
}

/// A document that cannot be read is the caller's mistake (4xx); what the driver cannot do is an answer, {"Err": ...}.
void answer(const httplib::Request& request, httplib::Response& response) {
  static std::mutex one_at_a_time;  // the engine's locks are between processes
  const Call* call = find_call(request.path);
  if (call == nullptr) {
    return answer_error(response, kNotFound,
                        Error(ErrorCode::kUnsupportedField, "no such call: " + request.path));
  }
  nlohmann::json document = nlohmann::json::object();
  const bool readable = frontdoor::run_guarded(
      [&] {
        if (!request.body.empty())
          document = frontdoor::parse_document(request.body, "the body of " + request.path);
      },
      [&](const Error& error) { answer_error(response, kBadRequest, error); });
  if (!readable) return;
  const std::lock_guard<std::mutex> turn(one_at_a_time);
  (void)frontdoor::run_guarded(
      [&] {
        const std::string text = cni::to_text(call->perform(document));
        response.status = kOk;
        response.set_content(text, kContentType);
        engine::log_info("docker " + request.path + " done");
      },
      [&](const Error& error) {
        engine::log_info("docker " + request.path + " failed: " + frontdoor::one_line(error));
        answer_error(response, kOk, error);
      });
}

}  // namespace

void serve(UniqueFd listener) {
  constexpr time_t kPatienceSeconds = 5;
  constexpr std::size_t kThreads = 8;
  Server server(std::move(listener));
  // A connection that is kept open would keep a thread.
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(kPatienceSeconds);
  server.set_write_timeout(kPatienceSeconds);
  server.set_payload_max_length(frontdoor::kDocumentLimitBytes);
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.Post(".*", answer);
  std::thread stopper([&server] {
    sigset_t ends{};
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    int which = 0;
    sigwait(&ends, &which);
    server.finish();
  });
  server.listen_after_bind();
  // Also when accept() failed for good: the other thread still waits for its signal.
  ::kill(::getpid(), SIGTERM);
  stopper.join();
}

}  // namespace netctl::docker
