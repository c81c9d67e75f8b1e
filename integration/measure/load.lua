-- What wrk sends: one call after the other, each for the next name.
--     wrk -s load.lua URL -- FILE FIRST COUNT PAUSE
-- FILE has the request, with NAME where the name stands, to which the number of the name is added:
-- FIRST, then the COUNT - 1 after it, then FIRST again. A connection waits for 0 to 2 PAUSE ms
-- before each call. At the end the figures are printed as one line of JSON.

local before, behind, first, count
local at = 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    before, behind = file:read("*a"):match("^(.*NAME)(.*)$")
    before = before:sub(1, -5)
    file:close()
    first, count = tonumber(args[2]), tonumber(args[3])
    local pause = tonumber(args[4])
    if pause > 0 then
        math.randomseed(7)
        delay = function() return math.random(0, 2 * pause) end
    end
end

function request()
    local number = first + at % count
    at = at + 1
    return before .. string.format("%d", number) .. behind
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "micros": %d, "p50": %.0f, "p99": %.0f, "refused": %d, "broken": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
