"""Words that people use for one another when they ask for a tool. Data.

General English of offices and developers. A word finds the others of its lines at `WEIGHT` of its own worth; a
line names no product and no tool. Source: written for this, from no list of tools.
"""

from typing import Final

WEIGHT: Final = 0.7

GROUPS: Final = tuple(
    tuple(line.split())
    for line in """
add create new insert register put append
create make build generate produce compose draft write open start
create setup initialize provision
delete remove erase drop discard trash clear wipe purge destroy
update edit modify change alter adjust amend revise patch set rewrite correct
rename retitle relabel move
replace substitute swap overwrite
get fetch retrieve read obtain load pull view show look see
list enumerate browse show display all every overview
search find query lookup locate seek discover hunt grep
open launch start begin
close finish resolve complete end
start run launch execute trigger begin kick
stop halt kill terminate abort cancel end shutdown
pause suspend hold
resume continue restart unpause
restart reboot relaunch reload
cancel abort revoke withdraw
send post deliver dispatch submit transmit mail
publish release ship deploy announce
upload import attach put
download export save fetch
copy duplicate clone replicate fork
move transfer relocate shift
merge combine join unite consolidate
split divide separate break
compare diff difference contrast changes
check verify validate test inspect examine confirm
approve accept allow confirm
reject decline deny refuse dismiss
assign allocate delegate give owner
share grant invite access permission
permission role access right privilege
enable activate turn on
disable deactivate turn off mute
lock freeze protect
restore recover revert undo rollback
archive backup store retire
backup snapshot dump
save store persist remember keep write
remember memory recall note fact
subscribe follow watch track monitor
notify alert inform page remind
reply respond answer comment
comment remark note annotate feedback
count number total amount many tally
calculate compute evaluate
convert transform translate turn change
format style layout appearance
summarize summary digest overview recap brief
explain describe detail info information about
describe details properties metadata schema structure
analyze analysis investigate study examine insight
extract scrape pull parse
scrape crawl spider harvest
navigate visit browse goto go open
click press tap push
type enter fill input write
drag move slide
scroll swipe
wait pause sleep delay
select choose pick
filter narrow restrict limit
sort order rank arrange
group cluster bucket category
schedule plan book arrange calendar
connect link join attach relate
link relation relationship connection edge
disconnect detach unlink
log record trace history
logs log output console stdout
error failure exception crash bug fault problem
bug issue defect problem ticket
issue ticket task card story item
task todo job work
sprint iteration cycle
milestone goal deadline target
backlog queue pending
project workspace repository
repository repo codebase project source
branch fork line
commit change revision checkin
pull merge request review change
review feedback critique approve
pipeline build ci workflow job run
workflow automation process flow
deployment release rollout deploy
release version tag
incident outage emergency
oncall shift rota schedule duty
service application app system
server machine host instance
container pod docker image
cluster node
database db store
table relation sheet
row record entry line item
column field attribute property
query sql select statement
index catalog
key entry name
value content
cache memory buffer
file document attachment
document doc page article text
folder directory dir path
path location
drive storage disk
disk storage space volume
image picture photo graphic illustration
screenshot capture snapshot image
video clip movie recording
audio sound voice
chart graph plot diagram visualization
diagram flowchart drawing schema
pie donut proportion share
bar column histogram
line trend curve
map geography location region
place location venue spot address
directions route path way navigation
distance far length
address location coordinates geocode
weather forecast
spreadsheet sheet worksheet workbook excel
worksheet tab sheet
cell range
formula calculation function expression
slide presentation deck
paragraph text passage section
heading title header
title name subject label
label tag category
font typeface style
color colour shade
bold strong
table grid
list bullet enumeration
picture image
footnote endnote citation reference
email mail message inbox
message chat dm post text
channel room group
thread conversation discussion reply
reaction emoji thumb
contact person people address
user person member people account
people users members team colleagues
team group squad crew
organization company org business
customer client
author writer creator owner
profile account identity
event meeting appointment calendar invite
meeting call conference
calendar agenda schedule diary
reminder alarm alert notification
busy free availability slot
time clock hour now
date day
timezone zone local
today now current
week weekly
paper article publication preprint study
research investigate study explore
web internet online site
website site page web url
url link address uri
browser chrome tab page
tab window page
form input field
button control element
element node component widget
dom html markup
cookie session
network request traffic http
performance speed slow fast latency
metric measure statistic number
statistics stats numbers metrics
alarm alert threshold
dashboard board panel overview
board kanban panel
usage consumption
cost price billing spend
setting configuration config option preference
environment env variable
secret password credential token key
login signin authenticate auth
logout signout
install setup add
package library dependency module
docs documentation guide manual reference
documentation library api
code source program script
function method procedure
script code javascript program
command shell terminal cli
terminal shell console
process program task pid
thread step
model schema type
test check suite
coverage tested
flaky unstable intermittent
scene world view
object mesh item
material texture surface
camera view
animation motion
news headline latest
latest recent newest last
old previous earlier past
random arbitrary
big large huge
similar related like alike
duplicate same identical
important priority urgent
priority severity urgency
status state progress condition
version revision history
history past log changelog
parent ancestor
child sub nested
tree hierarchy structure
wiki page knowledge
knowledge memory graph facts
graph network nodes
entity node object
observation fact note
note memo notes
template pattern boilerplate
example sample demo
think reason reflect thought
question ask prompt
answer reply response
translate language
size length width dimension
width dimension
resize scale zoom
crop trim cut
page sheet
print output pdf
pdf document
zip archive compress
hash checksum
string text
list array
set collection
sum add total
expire ttl timeout expiry
timeout deadline
publish broadcast emit
stream feed
subscribe listen
vector embedding similarity
join link
attachment file
star favorite bookmark
vote poll
quote cite
""".strip().splitlines()
)
