"""What all measurements stand on: processes, load, figures, stories, pictures.

    errors, interrupts, processes, serving   children that start, listen and end
    wrk, crowd, client, neighbour            requests, and what came of them
    usage, inprocess                         processor, memory, threads; no sockets
    kinds, runner, servers, results          scenarios, rounds, samples
    drivers, world                           databases, and what real bodies ask
    variant, command, terminal               what every story's command does
    story, story_process, page               what a story hands in, and the page
    drawing, machine, figures                charts, the machine, numbers as text

It imports neither examples nor stories nor contenders.
"""
