"""What people say for what tools are called by. Data.

General English of offices and developers; no line is there for one server's sake. Left of `>` stand words of
those who ask, right of it what a tool may say for any of them; between `=` each may stand for all. A word that
means too many things (show, page, line) stands left only.
"""

from typing import Final

LINES: Final = """
new set > create
add = insert = append
put > add insert upload set write
build compose produce construct craft draw > create generate
register sign > create add
draft compose > write create
establish spin provision > create start
remove = delete
erase drop discard trash destroy rid throw dump purge wipe toss forget > delete remove clear
clear empty reset > delete clear reset
modify = update = edit = change
alter adjust amend revise correct fix rewrite tweak patch > update edit modify
rename retitle call > rename update
replace = swap = substitute
show see display view look > get list view read
give tell > get
fetch = retrieve = get
obtain load pull > get fetch read
lookup > search find get
list = enumerate
browse > list navigate search
search = find
hunt seek locate discover > search find
grep > search find
start = launch
open > open start navigate create
trigger kick fire invoke > run trigger start
run = execute
perform > run execute
stop = halt = terminate
kill abort end quit > stop terminate kill cancel close
cancel = abort
close = finish = complete
done finish wrap > complete close resolve
pause suspend hold > pause stop
continue resume > resume start
restart reboot bounce redo retry > restart rerun
send = deliver
submit dispatch forward > send post create
post publish announce share > post publish send
tell notify inform ping > send post notify
broadcast emit > publish
release ship deploy rollout > release deploy publish
export = download
upload = import
attach > upload attachment add
save store keep persist record > save write store create set
copy = duplicate = clone
replicate mirror > copy clone fork
move = transfer = relocate
shift drag reorder > move
merge = combine
join unite consolidate fold > merge combine join
split divide separate > split
compare contrast difference differ > diff compare
changed modified altered > diff changes history status
check = verify = validate
confirm ensure inspect examine > check validate inspect get
valid correct wrong > validate check
approve = accept
okay agree sign thumbs > approve accept
reject = decline
refuse deny > reject decline
invite > add invite share
assign = delegate
owner responsible handle charge > assign owner
share grant allow > share permission access
permission = access
right rights privilege allowed > permission access
enable = activate
disable = deactivate
mute silence quiet snooze > mute disable snooze
lock protect secure password > protect lock
restore recover bring back > restore undo unarchive
undo revert rollback back > revert rollback undo reset rollout
archive retire shelve > archive
backup > backup export snapshot
remember memorize memory know learned > memory save write create add
recall remind forgot > search read get reminder
subscribe = follow = watch
track observe eye > monitor watch track
monitor = track
notified notification notify alert know > notification alert watch subscribe
answer reply respond back > reply respond
comment = note = remark
feedback opinion > feedback comment review
say said wrote write leave > comment add post note
count many number total tally > count number size stats
calculate compute work figure > calculate evaluate compute
convert = transform
turn change translate > convert transform
summarize summary recap brief overview digest gist > summary get describe
explain understand meaning mean > explain describe analyze
describe = detail = info
information properties facts > info describe get details
metadata > info schema
structure layout shape organized > structure schema outline
columns fields kinds > column field schema describe
analyze = investigate
diagnose cause reason root > analyze error logs investigate
insight > analyze insight
extract scrape harvest grab pull > extract scrape get
crawl = spider
navigate visit go > navigate open
surf website site > navigate browser web url
click press tap push hit > click press
type enter key > type fill write
fill complete enter > fill form
hover mouse pointer > hover
wait sleep delay > wait
choose pick select > select
dropdown > select option
filter narrow > filter query search
sort order rank arrange > sort
group = cluster
schedule plan book arrange > create schedule event
connect link tie relate > link connect relation
relation = relationship
connection edge knows > relation link
disconnect detach unlink separate > remove unlink
log = logs
output printed stdout stderr > logs output console
error = exception
failure crash fault broken fail failing wrong > error failure issue
bug defect problem complaint > issue bug
ticket > issue ticket request
task card story item work > task issue
todo chore > task todo
iteration > sprint cycle iteration
sprint = cycle
milestone goal deadline target due > milestone due
epic initiative > epic initiative
initiative roadmap strategy > roadmap initiative
project = workspace
repo = repository
codebase repos > repository
change changes revision checkin > commit diff change
pr > pull request
mr > merge request
review critique > review
reviewer > review assign
pipeline = workflow
build ci > pipeline build job
flaky unstable intermittent sometimes random > flaky
broke broken red failed > failure failed error logs
version = release
tag version > tag release
outage incident disruption emergency downtime > incident
urgent severity important critical > priority severity urgency
escalate paging page pager > escalation incident oncall
oncall duty pager shift rota > oncall call schedule rotation shift
responder > responder user
service application app microservice > service application
server machine host instance vm > server instance host node
container docker > container pod
pod container > pod
replica copies scale instances > scale replicas
cluster node > cluster node
kubernetes = k8s = kubectl
database = db
sql select > query sql
ask question > query ask question
table grid > table
record = row = entry
line entry item > record row
cell > cell range
column = field
attribute property > field property attribute
value content > value content
key entry > key
expire expiry ttl lifetime lives seconds > expire ttl
queue stack list > queue list push pop
push end tail enqueue > push add append
pop take dequeue > pop
member members set > member set
index = reindex
full text similar meaning semantic > semantic search vector
vector embedding similarity > vector
document = doc
file = document
text passage words content > text content
paragraph passage sentence > paragraph text
article publication preprint study manuscript literature > paper article
paper = article
citation cite cites cited reference references bibliography bibtex > citation reference
abstract summary > abstract
section chapter part > section heading
heading title > heading title header
footnote > footnote note
folder = directory
dir path location > directory path
tree nested hierarchy subfolder > tree directory
disk drive storage space > drive disk storage size
size big large heavy > size
image = picture = photo
logo icon graphic illustration figure > image picture
screenshot = capture
snapshot capture photo > screenshot snapshot capture
video recording movie clip film > video recording screencast
record > record start create
chart = graph = plot
visualize visualise draw illustrate diagram picture > chart diagram generate
pie share proportion percentage slice > pie
bar bars column > bar column
line trend time curve > line chart
scatter correlation correlate dots > scatter
distribution spread frequency histogram > histogram distribution boxplot violin
funnel conversion stages drop > funnel
map geographic region pins location > map
flow process steps flowchart > flow
timeline gantt > timeline
brainstorm ideas mind > mind
fishbone cause effect > fishbone
radar strengths skills compare > radar
reports hierarchy organization org > organization
overlap common sets intersection > venn
words cloud frequent > word cloud
location place spot venue address > place location geocode
nearby near around close > search place nearby near
restaurant cafe shop store hotel business > place local
directions route way drive walk get > directions
distance far long travel commute > distance
height altitude elevation mountain > elevation
coordinates latitude longitude gps > geocode coordinates
weather forecast temperature > weather
spreadsheet = worksheet = workbook
sheet tab > sheet
excel > workbook excel sheet
formula > formula function
cells bold color colour shade highlight font currency style > format style
merge join > merge cells
pivot summarise summarize group > pivot
slides presentation deck > slides presentation
form survey questionnaire poll > form
answers responses submitted > response form
email = mail
message mail letter > email message
inbox mailbox unread > email search messages
sender recipient newsletter > email
spam junk rule automatically > filter
label = tag
category mark flag star > label tag
message chat dm text > message post
channel room > channel
thread conversation discussion > thread
emoji thumb thumbs smiley heart > reaction emoji
reaction = emoji
people person colleague coworker employee teammate > user member
user = member
account profile identity > user profile account
whoami myself > viewer self whoami current user
team squad crew department > team
organization company > organization
customer client > customer client
event = meeting = appointment
call conference sync standup lunch dinner party invitation > event meeting calendar
calendar agenda diary schedule > calendar event
invitation invite rsvp attend attending > respond event attendee
free busy available availability slot > freebusy busy availability
reminder remind > reminder
clock hour now > time
time = date
timezone zone > timezone time
today now currently moment > current
tomorrow yesterday week weekend monday tuesday wednesday thursday friday saturday sunday > calendar event date
convert timezone > convert
research investigation study deep thorough sources > research search
web internet online google > web search
news headline latest recent current > news search recent
url link address webpage > url page web
website webpage site > page url web
tab window > tab page
browser chrome > browser page
button element > click element
form field input box > fill form
popup alert dialog confirm > dialog
request requests traffic http calls api > network request
javascript js script code snippet > evaluate execute script code
css style styles color font > css style
phone mobile device tablet viewport > emulate resize device
performance slow fast speed lag loading > performance trace metrics
leak memory ram heap > memory heap snapshot
accessibility seo quality > audit
login signin log authenticate > auth login
cookie session > cookie session
latency throughput cpu load usage > metric usage stats
metric = measure
statistic numbers figures stats kpi > metrics stats statistics
alarm = alert
firing ringing triggered > active alarm alert
threshold > alarm threshold
dashboard board panel > dashboard board
usage consumption credits > usage
cost price billing spend money cheap expensive > cost price billing usage
setting = config = configuration
preference option > config settings option
env environment variable > environment env variable
secret password credential token > secret token key
install setup > install
package library dependency framework module sdk > package library dependency
docs = documentation
manual guide reference tutorial howto example > docs documentation
api usage > docs api
code source program > code source
function method class > function code
command shell terminal bash > command process execute terminal
process program app > process
running alive active > status active running list
job task > job task
model entity > model
test tests testing > test
scene world > scene
mesh shape cube sphere model object > object mesh scene model
texture surface material > material texture asset
entity = node = object
person thing concept fact > entity
fact observation knowledge learned > observation note knowledge memory
knowledge = memory
notes notebook jotted jot wiki > note page
wiki page > page
template boilerplate > template
think thinking reason reasoning step steps carefully > thinking sequential
translate language > translate
width dimension > width size resize
resize scale shrink enlarge bigger smaller > resize scale
crop trim cut > crop cut
print pdf > pdf export convert
zip compress gzip shrink > compress gzip zip
unpack decompress unzip > extract
contents inside body > content read text
raw plain > text content
attachment attached enclosure > attachment
multiple several various batch bulk many > batch multiple bulk
child children sub nested inside > children sub
duplicate identical > duplicate
similar resembled resemble alike comparable > related similar past
earlier previous past history former > history past previous
history = changelog
progress state situation condition > status
status = state
health healthy green well ok > health status
list overview everything > list
first last latest newest oldest recent > list recent latest
name title subject > name title
visible public private visibility > public access visibility
subscribed subscriptions > subscription
webhook callback > webhook
vote poll > poll
attendee guest participant > attendee user member
visitor > user
wrong mistake typo > replace edit
spelling word occurrences everywhere > replace search
log time hours worked spent > worklog time
assignee > assign user
blocks blocked depends dependency > link dependency
dependency = dependencies
move progress done column > transition move status
watcher follower > watcher
""".strip().splitlines()
