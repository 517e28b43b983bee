"""Which mutants a case is expected to catch: by the beginning of its id, the most telling one first."""

TABLE = """
E1                  any-command-is-add message-without-names
E2                  no-command-is-an-error
E3.missing          another-code message-without-names
E3.del              del-fails-without-netns
E3.few              needs-every-variable
E3.no-path          needs-a-path
E4                  names-one-variable
E5.bad              mends-names
E5.good             refuses-odd-names
E6                  cuts-long-ids refuses-odd-names
E7.bad              mends-names
E7.template         mends-names
E7.good             refuses-odd-names
E8                  mends-names another-code
E9.bad-type         any-type another-code
E9.bad-ipam         any-type
E9.not-there        message-without-names leaves-a-link-when-it-fails
E16.own             own-namespace-is-fine
E16.no              any-namespace-is-fine changes-before-it-refuses
E17.override        own-namespace-never
E17.no              own-namespace-is-fine
E18                 works-elsewhere
E10.not             takes-the-first-document
E10.too             failure-is-success
E10.stdin           stdin-never-fails
E10.version         waits-for-stdin
E10.in              reads-one-piece
E10.white           no-white-space
E11                 error-on-stderr failure-is-success
E12.add             log-on-stdout two-documents
E12.others          chatty
E12.signal          dies-of-signals
E12.stdout          prints-for-another
E13.error           error-without-version
E13.version         error-of-the-newest-version error-without-version
E14.prev            takes-the-first-document another-code
E14                 another-code
E15                 refuses-everything
E19.unknown         unknown-keys-are-errors
E19.big             unknown-keys-are-errors
E19.trace           trace-is-an-error
E20.malformed       ignores-args unknown-args-are-fine
E20.code            another-code
E20.unknown         unknown-args-are-fine ignores-args
E20.ignored         args-are-never-fine
E20.kub             args-are-never-fine
E20.empty           refuses-everything
E20.del             ignores-args
E21.mac-in          another-mac
E21.mac             ignores-args forgets-runtime-config
E21.runtime         args-first
E21.args            args-first
E21.ip-of-cni       ignores-args
E21.ip              args-first
V1                  one-version-only version-of-the-input
V2                  one-version-only
V3                  no-version-is-the-newest
V4                  strange-versions-are-fine another-code
V5.result           always-the-newest drops-cni-version no-1-1
V5.null             null-is-an-error
V6.check-is         every-verb-in-every-version
V6.gc               every-verb-in-every-version
V6.check-works      check-is-unhappy
V11.inherited       drops-ips
V11.other           takes-the-first-document another-code
V11.del             del-needs-prev-result
V12.delegated       drops-routes one-address-only
V12.passed          drops-gateways failure-is-success
V7                  drops-gateways accepts-everything
V8                  ip-version-never
V9                  new-keys-everywhere new-keys-nowhere
V10.dns             empty-dns
V10.gw              empty-gateways
V10.zero            zero-is-absent
V13                 drops-ips refuses-everything
A1.interface        never-up another-address
A1.two              always-one-address takes-the-name
A1.loopback         never-up drops-ips
A1.tap              drops-interfaces
A2                  takes-the-name leaves-a-link-when-it-fails
A3.index            index-off-by-one
A3.interfaces       resolved-sandbox another-mac no-sandbox sandbox-everywhere
A4                  extra-key drops-routes
A8.dns-of-config    ignores-unknown-values drops-dns
A8.dns              drops-dns
A8.config           ignores-unknown-values
A8.resolv           drops-dns
A8.masq             forgets-masquerade
A9                  refuses-everything
A10                 takes-the-name accepts-everything
A11                 always-one-address del-does-nothing
A12                 leaves-a-link-when-it-fails
D1.never            del-of-nothing-fails
D1.again            del-once
D1.re               del-does-nothing
D2.lost-namespace   del-fails-without-netns del-needs-netns
D2.masq             keeps-the-rules
D2.interface        del-of-nothing-fails
D2.bridge           del-of-nothing-fails del-does-nothing
D2.state            del-does-nothing
D2.rules            refuses-everything
D2.nothing          del-does-nothing keeps-the-rules
D2.files            del-does-nothing
D3.no               del-needs-prev-result
D3.ports            del-needs-runtime-config keeps-the-rules
D4.foreign          del-takes-all takes-the-name
D4                  del-takes-all
D6                  del-never-complains
D7                  slow
C1                  check-without-prev-result another-code
C2.two              check-is-unhappy
C2                  check-is-happy
C3                  check-wants-the-same-mac
C4                  check-is-happy
C5                  check-is-unhappy
C8                  needs-a-path check-is-unhappy
C9.changes-nothing  check-mends
G1                  gc-does-nothing gc-reads-the-old-key-only
G1.newer            gc-reads-the-old-key-only
G2.interface        gc-forgets-interfaces
G2.rules            keeps-the-rules
G2.ports            gc-takes-all gc-does-nothing
G3.empty            gc-does-nothing
G3.no-list-dead     gc-does-nothing
G3.no-list          gc-null-is-empty
G3.half             gc-skips-half-entries
G3.not              gc-skips-half-entries
G4                  gc-does-nothing
G5.gc-calls         drops-foreign-keys no-delegation
G5.gc-error         no-delegation
G6                  chatty
G7.other            gc-takes-all-of-conf
G7.foreign          gc-takes-foreign
G7.chained          gc-takes-all check-is-unhappy
G8                  gc-takes-all
G9                  del-of-nothing-fails refuses-everything
S1.bad              always-ready
S1                  never-ready
S2                  no-delegation
S3                  always-ready
S4.does             never-ready
S4                  status-leaves-traces
S5                  refuses-everything
S6                  always-ready
A5.env              ignores-args
A5.trace            trace-is-an-error
A5.whole            drops-foreign-keys
A5.stderr           swallows-stderr
A5.only             loses-path
A5.result           drops-gateways
A5.error            another-code
A6                  calls-the-delegate-once-more
A7.no               calls-the-delegate-once-more leaves-a-link-when-it-fails
A7.nonsense         leaves-a-link-when-it-fails
A7.ipam             names-interfaces
A7.under            another-address
D5.every            no-delegation
D5.own              del-never-complains
C6                  no-delegation
R1.port-mapping.as  mappings-in-one-spelling
R1.port             forgets-runtime-config
R1.bad              mends-mappings
R1.two              failure-is-success forgets-runtime-config
R1.no-mappings      extra-key null-is-an-error
R2                  forgets-runtime-config
R3                  forgets-runtime-config another-address
R4                  forgets-runtime-config
R5                  forgets-runtime-config
R6                  forgets-runtime-config
R7                  refuses-foreign-capabilities
R8                  null-is-an-error
R9                  labels-are-errors
R10                 forgets-runtime-config
R11                 ignores-unknown-values
"""
LAST = ("failure-is-success", "accepts-everything", "refuses-everything")


def of(case_id):
    found = []
    for line in TABLE.split("\n"):
        beginning, *names = line.split() or [None]
        if beginning and case_id.startswith(beginning):
            found.append((len(beginning), names))
    ordered = [name for _, names in sorted(found, key=lambda entry: -entry[0]) for name in names]
    return list(dict.fromkeys([*ordered, *LAST]))
